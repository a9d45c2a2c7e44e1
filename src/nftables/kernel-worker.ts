/**
 * The one thread that talks to the kernel. It holds a context for each network namespace and enters that namespace for
 * every call, so that sockets which the library opens again land in the right one.
 */
import { closeSync, openSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import { blockSignals, setNetwork } from "../netns/libc.ts";
import { clearMarks, forgetFlows } from "./conntrack.ts";
import type { Answer, Notice, Request } from "./kernel-thread.ts";
import { keyOrder } from "./key-order.ts";
import { type Context, type Libnftables, loadLibnftables } from "./libnftables.ts";
import { NfTables } from "./nf-tables.ts";
import { TableWatch } from "./table-watch.ts";

interface Place {
  /** An open file of the namespace. */
  readonly netns: number;
  context: Context | null;
  tables: NfTables | null;
  /** By the id of the request. */
  readonly watches: Map<number, TableWatch>;
}

blockSignals();

let library: Libnftables | undefined;
const places = new Map<number, Place>();
const home = openSync("/proc/thread-self/ns/net", "r");
let current = home;

function enter({ netns }: Place): void {
  if (netns === current) return;
  setNetwork(netns);
  current = netns;
}

function placeOf(number: number): Place {
  const place = places.get(number);
  if (place === undefined) throw new Error("this runner was closed");
  return place;
}

function close(number: number): void {
  const place = placeOf(number);
  if (place.context !== null) library!.close(place.context);
  place.tables?.close();
  places.delete(number);
  for (const watch of place.watches.values()) watch.close();
  if (place.netns === home) return;
  enter({ netns: home, context: null, tables: null, watches: new Map() });
  closeSync(place.netns);
}

function handle(request: Request): Answer["value"] {
  switch (request.kind) {
    case "open":
      places.set(request.place, {
        netns: request.netns === null ? home : openSync(request.netns, "r"),
        context: null,
        tables: null,
        watches: new Map(),
      });
      return null;
    case "load": {
      const place = placeOf(request.place);
      library ??= loadLibnftables();
      enter(place);
      place.context = library.open();
      return null;
    }
    case "run": {
      const place = placeOf(request.place);
      enter(place);
      return library!.run(place.context!, request.script, request.json);
    }
    case "send": {
      const place = placeOf(request.place);
      if (place.tables === null) {
        enter(place);
        place.tables = new NfTables();
      }
      return place.tables.send(request.batch);
    }
    case "key-order":
      enter(placeOf(request.place));
      return keyOrder(request.table, request.chain, request.set);
    case "clear-marks":
      enter(placeOf(request.place));
      return clearMarks(request.mask, request.first, request.last);
    case "forget-flows":
      enter(placeOf(request.place));
      return forgetFlows(request.addresses);
    case "watch": {
      const place = placeOf(request.place);
      enter(place);
      place.watches.set(request.id, new TableWatch(request.table));
      if (looking === null) looking = setInterval(look, lookEvery);
      return null;
    }
    case "close":
      close(request.place);
      return null;
  }
}

const lookEvery = 25; // ms
let looking: NodeJS.Timeout | null = null;

function look(): void {
  for (const place of places.values()) {
    for (const [notice, watch] of place.watches) {
      enter(place);
      if (watch.look()) parentPort!.postMessage({ notice } satisfies Notice);
    }
  }
}

parentPort!.on("message", (request: Request) => {
  let answer: Answer;
  try {
    answer = { id: request.id, value: handle(request), error: null };
  } catch (error) {
    answer = { id: request.id, value: null, error: error instanceof Error ? error.message : String(error) };
  }
  parentPort!.postMessage(answer);
});
