/** Opens one connection to an API server: TCP or an HTTP proxy's tunnel, and TLS over it. */
import http from "node:http";
import https from "node:https";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import type { Connection, TlsSettings } from "./connection.ts";
import { NetworkError } from "./errors.ts";

export interface Dialled {
  readonly socket: Duplex;
  readonly protocol: "h2" | "http/1.1";
}

/** How long a connection may take to come about, in ms. */
const dialTimeout = 10_000;
/** After this much silence the kernel asks the other end whether it is still there, once a second, ten times. */
const keepAlive = 15_000;

/** The port of a URL, its scheme's own where it names none. */
const portOf = (url: URL): number => Number(url.port || (url.protocol === "https:" ? 443 : 80));

/** A URL's host as sockets want it: IPv6 without brackets. */
const hostOf = (url: URL): string => (url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname);

export async function dial(connection: Connection, signal?: AbortSignal): Promise<Dialled> {
  const settings = await connection.tls(); // before the clock starts: a plugin may be asking a person
  const limit = AbortSignal.timeout(dialTimeout);
  const both = signal === undefined ? limit : AbortSignal.any([signal, limit]);
  try {
    const socket = await (connection.proxy === null
      ? connectTcp(connection.server, both)
      : connectThrough(connection.proxy, connection.server, both));
    if (settings === null) return { socket, protocol: "http/1.1" };
    return await secure(socket, connection.server, settings, both);
  } catch (error) {
    if (limit.aborted) throw new NetworkError(`no connection within ${dialTimeout / 1000} s`);
    throw error;
  }
}

function connectTcp(server: URL, signal: AbortSignal): Promise<net.Socket> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host: hostOf(server), port: portOf(server), noDelay: true });
    socket.setKeepAlive(true, keepAlive);
    settle(socket, "connect", signal, () => resolve(socket), reject);
  });
}

/** A tunnel through an HTTP proxy (RFC 9110, 9.3.6). */
function connectThrough(proxy: URL, server: URL, signal: AbortSignal): Promise<Duplex> {
  if (proxy.protocol !== "http:" && proxy.protocol !== "https:") {
    throw new NetworkError(`proxies of scheme ${proxy.protocol.slice(0, -1)} are not supported: ${withoutUser(proxy)}`);
  }
  const target = `${server.hostname}:${portOf(server)}`;
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return new Promise((resolve, reject) => {
    const request = (proxy.protocol === "https:" ? https : http).request({
      host: hostOf(proxy),
      port: portOf(proxy),
      method: "CONNECT",
      path: target,
      agent: false,
      signal,
      headers: {
        host: target,
        ...(proxy.username === ""
          ? {}
          : { "proxy-authorization": `Basic ${Buffer.from(credentials).toString("base64")}` }),
      },
    });
    request.once("connect", ({ statusCode }, socket, head) => {
      if (statusCode === 200) {
        if (head.length > 0) socket.unshift(head);
        if (socket instanceof net.Socket) socket.setKeepAlive(true, keepAlive);
        resolve(socket);
      } else {
        socket.destroy();
        reject(new NetworkError(`proxy ${withoutUser(proxy)} refused to connect: HTTP status ${statusCode}`));
      }
    });
    request.once("error", (error) => reject(new NetworkError(`proxy ${withoutUser(proxy)}: ${error.message}`)));
    request.end();
  });
}

const withoutUser = ({ protocol, host }: URL): string => `${protocol}//${host}`;

function secure(socket: Duplex, server: URL, settings: TlsSettings, signal: AbortSignal): Promise<Dialled> {
  const { ca, cert, key, servername, verify } = settings;
  const host = hostOf(server);
  const name = servername ?? host;
  return new Promise((resolve, reject) => {
    const secured = tls.connect({
      socket,
      host: name, // the certificate is checked against it
      ...(net.isIP(name) === 0 ? { servername: name } : {}),
      ...(ca === null ? {} : { ca }),
      ...(cert === null ? {} : { cert }),
      ...(key === null ? {} : { key }),
      rejectUnauthorized: verify,
      minVersion: "TLSv1.2",
      ALPNProtocols: ["h2", "http/1.1"],
    });
    const done = (): void => {
      resolve({ socket: secured, protocol: secured.alpnProtocol === "h2" ? "h2" : "http/1.1" });
    };
    settle(secured, "secureConnect", signal, done, reject);
  });
}

/** Waits for one event of a socket; destroys it when an error or the signal comes first. */
function settle(
  socket: net.Socket,
  event: string,
  signal: AbortSignal,
  done: () => void,
  reject: (error: unknown) => void,
): void {
  const finish = (): void => {
    signal.removeEventListener("abort", aborted);
    socket.off("error", failed).off("close", closed);
  };
  const failed = (error: unknown): void => {
    finish();
    socket.on("error", () => undefined).destroy();
    reject(error);
  };
  const aborted = (): void => failed(signal.reason);
  const closed = (): void => failed(new NetworkError("the connection was closed while it was being opened"));
  signal.addEventListener("abort", aborted);
  socket.once("error", failed).once("close", closed);
  socket.once(event, () => {
    finish();
    done();
  });
  if (signal.aborted) aborted();
}
