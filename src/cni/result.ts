/** Versions of the CNI specification, and what their results say: https://www.cni.dev/docs/spec/ */

/** Every released version: the plugin hands results on and adds nothing, so that none is too old. */
export const cniVersions = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof cniVersions)[number];
export const newestCniVersion: CniVersion = "1.1.0";

/** Codes 0–99 are the specification's ("Error"). */
export const errorCode = {
  incompatibleVersion: 1,
  invalidEnvironment: 4,
  ioFailure: 5,
  undecodable: 6,
  invalidConfig: 7,
  tryAgainLater: 11,
  notAvailable: 50,
  /** Ours: the pod could not be admitted. */
  notAdmitted: 100,
} as const;

/** A failure that is told to the runtime in the specification's form. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: number;
  readonly details: string | undefined;

  constructor(code: number, message: string, details?: string) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** A missing version means 0.1.0, as in libcni. @throws CniError */
export function cniVersionOf(config: JsonObject): CniVersion {
  const { cniVersion = "0.1.0" } = config;
  const found = cniVersions.find((version) => version === cniVersion);
  if (found === undefined)
    throw new CniError(
      errorCode.incompatibleVersion,
      "incompatible CNI versions",
      `the network configuration is of version ${JSON.stringify(cniVersion)}, this plugin knows ${cniVersions.join(", ")}`,
    );
  return found;
}

/** Results have had three forms: before 0.3.0, before 1.0.0 (addresses with `version`), and since. */
const formOf = (version: CniVersion): number => (version < "0.3.0" ? 0 : version < "1.0.0" ? 1 : 2);

/**
 * The previous plugin's result in the form that `version` demands; everything else as it was. In practice a runtime asks
 * every plugin of a chain in one version, and nothing changes.
 * @throws CniError for a step over 0.3.0, where there were no chains yet
 */
export function convertResult(result: JsonObject, version: CniVersion): JsonObject {
  const from = formOf(cniVersionOf({ cniVersion: version, ...result }));
  const to = formOf(version);
  if (from === to) return { ...result, cniVersion: version };
  if (from === 0 || to === 0)
    throw new CniError(errorCode.incompatibleVersion, `a result can't be converted to CNI version ${version}`);
  const ips = list(result["ips"]).map((ip) => {
    if (!isObject(ip)) return ip;
    const { version: _, ...rest } = ip;
    return to === 2 ? rest : { version: String(ip["address"]).includes(":") ? "6" : "4", ...rest };
  });
  return { ...result, cniVersion: version, ...(result["ips"] === undefined ? {} : { ips }) };
}

/** What a plugin that adds nothing answers when no plugin stands before it ("Success" of the specification). */
export const emptyResult = (version: CniVersion): JsonObject =>
  formOf(version) === 0
    ? { cniVersion: version, dns: {} }
    : { cniVersion: version, interfaces: [], ips: [], routes: [], dns: {} };

/** The sandbox's addresses in a result, without their prefix lengths. Those of the host's interfaces are left out. */
export function addressesOf(result: JsonObject): string[] {
  const interfaces = list(result["interfaces"]);
  const inSandbox = (index: unknown): boolean => {
    const one = typeof index === "number" ? interfaces[index] : undefined;
    return !isObject(one) || (typeof one["sandbox"] === "string" && one["sandbox"] !== "");
  };
  const old = [result["ip4"], result["ip6"]].map((ip) => (isObject(ip) ? ip["ip"] : undefined)); // before 0.3.0
  const addresses = list(result["ips"])
    .filter(isObject)
    .filter((ip) => inSandbox(ip["interface"]))
    .map((ip) => ip["address"]);
  return [...addresses, ...old]
    .filter((address) => typeof address === "string")
    .map((address) => address.replace(/\/.*$/, ""));
}
