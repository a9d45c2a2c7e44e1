/** Services and what is known of their endpoints. */
import type { Source } from "../policy/model/source.ts";
import type { Service, ServicePort } from "../policy/model/world.ts";
import type { Fields } from "./fields.ts";
import type { Metadata } from "./metadata.ts";
import { checkPortName, readProtocol } from "./pod.ts";
import type { Content } from "./record.ts";

export function readService(object: Fields, { namespace, name }: Metadata, source: Source | null): Service {
  const spec = object.object("spec");
  const type = spec.choice("type", ["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"]);
  const listed = spec.strings("clusterIPs");
  const written = listed.length > 0 ? listed : [spec.string("clusterIP")];
  const headless = written.includes("None");
  const selector = spec.labels("selector");
  return {
    namespace,
    name,
    type,
    clusterIPs:
      headless || type === "ExternalName"
        ? []
        : listed.length > 0
          ? spec.addresses("clusterIPs")
          : spec.address("clusterIP"),
    headless,
    selector: Object.keys(selector).length === 0 || type === "ExternalName" ? null : selector,
    ports: spec.objects("ports").flatMap(readServicePort),
    endpoints: [],
    source,
  };
}

function readServicePort(port: Fields): ServicePort[] {
  const number = port.integer("port", 1, 65535);
  const target = port.numberOrString("targetPort");
  const name = port.string("name");
  const protocol = readProtocol(port);
  if (number === null) {
    if (!port.has("port")) port.fault(["port"], "Required value");
    return [];
  }
  if (typeof target === "number") port.integer("targetPort", 0, 65535);
  else if (target !== null && target !== "") checkPortName(port, "targetPort", target);
  // 0 and "" are the zero values of the API's type: no target port.
  return [{ name, protocol, port: number, targetPort: target || number }];
}

/** A ServiceCIDR: ranges that Services get their addresses from. */
export const readServiceCidr = (object: Fields): Content => ({
  type: "service-ranges",
  cidrs: object.object("spec").cidrs("cidrs"),
});

/** Endpoints: the ready addresses of every subset. */
export function readEndpoints(object: Fields, { name }: Metadata): Content {
  const addresses = object
    .objects("subsets")
    .flatMap((subset) => subset.objects("addresses").flatMap((address) => address.address("ip")));
  return { type: "endpoints", service: name, addresses };
}

/** EndpointSlice: the addresses of the endpoints that are not known to be unready; the Service is in a label. */
export function readEndpointSlice(object: Fields, { labels }: Metadata): Content {
  const type = object.choice("addressType", ["IPv4", "IPv6", "FQDN"]);
  const ready = object.objects("endpoints").filter((endpoint) => {
    const conditions = endpoint.object("conditions");
    return !conditions.has("ready") || conditions.boolean("ready");
  });
  const addresses = type === "FQDN" ? [] : ready.flatMap((endpoint) => endpoint.addresses("addresses"));
  return { type: "endpoints", service: labels["kubernetes.io/service-name"] ?? "", addresses };
}
