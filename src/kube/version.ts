/** resourceVersions: since Kubernetes 1.35 they are said to be comparable decimal numbers (KEP-5504), and always were. */

const number = /^(?:0|[1-9]\d*)$/;

/** Whether `version` is surely older than `than`; false where either is no number. Both of one kind. */
export function isOlder(version: string, than: string): boolean {
  if (!number.test(version) || !number.test(than)) return false;
  return version.length === than.length ? version < than : version.length < than.length;
}
