/** What a role gives, beside what was asked of the API server: the two must be the same. */
import type { Rule } from "./manifest.ts";

/** `list pods`, `watch networkpolicies.networking.k8s.io`, `watch customresourcedefinitions.apiextensions.k8s.io NAME`. */
export type Right = string;

const right = (verb: string, resource: string, group: string, name = ""): Right =>
  `${verb} ${resource}${group === "" ? "" : `.${group}`}${name === "" ? "" : ` ${name}`}`;

/** One right a line, without what a role can't be checked for: wildcards are refused. */
export function rightsOf(rules: readonly Rule[]): Right[] {
  return rules.flatMap(({ apiGroups, resources, resourceNames = [""], verbs, ...other }) => {
    if (Object.keys(other).length > 0) throw new Error(`a rule with ${Object.keys(other).join(", ")}`);
    return apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.flatMap((verb) => {
          if ([group, resource, verb].includes("*")) throw new Error("a rule for everything");
          return resourceNames.map((name) => right(verb, resource, group, name));
        }),
      ),
    );
  });
}

/** The rules that are left without one right. */
export const without = (rules: readonly Rule[], taken: Right): Rule[] =>
  rules.flatMap(({ apiGroups, resources, resourceNames = [""], verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        resourceNames.map((name) => ({
          apiGroups: [group],
          resources: [resource],
          ...(name === "" ? {} : { resourceNames: [name] }),
          verbs: verbs.filter((verb) => right(verb, resource, group, name) !== taken),
        })),
      ),
    ),
  );

interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource?: string;
    readonly subresource?: string;
    readonly apiGroup?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
}

export interface Asked {
  readonly rights: readonly Right[];
  /** Requests that a role can't be about (`/version`), which every account may make. */
  readonly paths: readonly string[];
  /** What was asked and refused for want of a right. */
  readonly forbidden: readonly Right[];
}

/**
 * Everything that a user asked for.
 * @param auditLog lines of an API server's audit log (audit.k8s.io/v1), level Metadata
 */
export function askedBy(user: string, auditLog: string): Asked {
  const [rights, paths, forbidden] = [new Set<Right>(), new Set<string>(), new Set<Right>()];
  for (const line of auditLog.split("\n")) {
    if (line === "") continue;
    const { verb, requestURI, user: by, objectRef, responseStatus } = JSON.parse(line) as AuditEvent;
    if (by.username !== user) continue;
    if (objectRef?.resource === undefined) {
      paths.add(requestURI);
      continue;
    }
    const { resource, subresource, apiGroup = "", name = "" } = objectRef;
    // Of one object only: a role names it, and the request has it as a field selector.
    const only = verb === "watch" || verb === "list" ? name : "";
    const asked = right(verb, subresource === undefined ? resource : `${resource}/${subresource}`, apiGroup, only);
    rights.add(asked);
    if (responseStatus?.code === 403) forbidden.add(asked);
  }
  return { rights: [...rights].sort(), paths: [...paths].sort(), forbidden: [...forbidden].sort() };
}

/** For `--audit-policy-file`: who asked for what, nothing of what was in it. */
export const auditPolicy = JSON.stringify({
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata" }],
});
