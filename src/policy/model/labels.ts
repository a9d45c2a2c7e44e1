/** Labels and label selectors, in the API's own shape (meta/v1 LabelSelector). */

export type Labels = Readonly<Record<string, string>>;

export type SelectorOperator = "In" | "NotIn" | "Exists" | "DoesNotExist";

export interface LabelSelectorRequirement {
  readonly key: string;
  /** Any string: an operator that does not exist can be stored (spec C1.4) and then must fail closed (A10.9). */
  readonly operator: SelectorOperator | (string & {});
  readonly values?: readonly string[] | null;
}

export interface LabelSelector {
  readonly matchLabels?: Labels | null;
  readonly matchExpressions?: readonly LabelSelectorRequirement[] | null;
}

/** The label that every namespace carries (spec A10.7). */
export const namespaceNameLabel = "kubernetes.io/metadata.name";
