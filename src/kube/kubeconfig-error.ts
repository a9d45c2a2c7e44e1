/** A kubeconfig that can't be used: one line for the user, and what to do next. Never holds a secret. */
export class KubeconfigError extends Error {
  override readonly name = "KubeconfigError";
  readonly hint: string | undefined;
  /** Nothing names a cluster at all, as opposed to naming one wrongly. */
  readonly isAbsent: boolean;

  constructor(
    message: string,
    { hint, isAbsent = false }: { readonly hint?: string; readonly isAbsent?: boolean } = {},
  ) {
    super(message);
    this.hint = hint;
    this.isAbsent = isAbsent;
  }
}
