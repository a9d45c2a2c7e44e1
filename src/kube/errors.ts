/** What can go wrong between Bulkhead and an API server. */

/** The API server's own answer: a `Status` object (meta/v1), or a bare HTTP status. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  /** HTTP status. */
  readonly status: number;
  /** `NotFound`, `Expired`, `Forbidden`…; empty when the answer was no Status. */
  readonly reason: string;
  /** `ResourceVersionTooLarge`, `FieldManagerConflict`…, from `details.causes[].reason`. */
  readonly causes: readonly string[];
  /** Seconds that the server asks to wait; 0 when it says nothing. */
  readonly retryAfter: number;

  constructor(
    message: string,
    answer: {
      readonly status: number;
      readonly reason?: string;
      readonly causes?: readonly string[];
      readonly retryAfter?: number;
    },
  ) {
    super(message);
    this.status = answer.status;
    this.reason = answer.reason ?? "";
    this.causes = answer.causes ?? [];
    this.retryAfter = answer.retryAfter ?? 0;
  }

  /** The resource version that was asked for is compacted away. */
  get isExpired(): boolean {
    return this.status === 410 || this.reason === "Expired" || this.reason === "Gone";
  }

  /** A group, version or resource that is not served: a Status says so, or Go's own text when no path matches. */
  get isUnknownKind(): boolean {
    return this.status === 404 && (this.reason === "NotFound" || this.message.endsWith("404 page not found"));
  }

  /** The server has not yet reached the resource version that was asked for. */
  get isAheadOfServer(): boolean {
    return this.causes.includes("ResourceVersionTooLarge") || this.message.includes("Too large resource version");
  }
}

/** No answer, or half of one: refused, reset, timed out, wrong certificate, broken JSON. */
export class NetworkError extends Error {
  override readonly name = "NetworkError";
}

/** The innermost message that a person can use. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return [...new Set(error.errors.map(messageOf))].join("; ");
  }
  return error instanceof Error ? error.message || error.name : String(error);
}

const words: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is signed by an unknown authority",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's certificate is signed by an unknown authority",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the server's certificate is signed by an unknown authority",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's certificate is signed by an unknown authority",
  ERR_STREAM_PREMATURE_CLOSE: "the connection was closed in the middle of an answer",
  ECONNRESET: "the connection was reset",
  EPIPE: "the connection was closed",
};

/** Names the server in an error that does not come from it. @param server `Connection.description` */
export function networkError(server: string, error: unknown): Error {
  if (error instanceof ApiError) return error;
  if (error instanceof NetworkError && error.message.startsWith(server)) return error;
  if (error instanceof Error && error.name === "AbortError") return error;
  const code = error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : "";
  return new NetworkError(`${server}: ${words[code] ?? messageOf(error)}`, { cause: error });
}

const record = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null ? (value as Readonly<Record<string, unknown>>) : {};

const string = (value: unknown): string => (typeof value === "string" ? value : "");

/**
 * The error that a meta/v1 Status stands for, as an HTTP body or as the object of an ERROR event.
 * @param asked `list pods`: what the request was; named where the server's own words don't
 */
export function statusError(status: unknown, asked: string, http = 500, retryAfter = 0): ApiError {
  const { message, reason, code, details } = record(status);
  const { causes, retryAfterSeconds } = record(details);
  const given = string(message) || string(reason) || `the server answered with HTTP status ${http}`;
  const http401 = (typeof code === "number" ? code : http) === 401;
  return new ApiError(
    http401 ? `cannot ${asked}: ${given}: the server does not accept the credentials` : named(given, asked),
    {
      status: typeof code === "number" ? code : http,
      reason: string(reason),
      causes: Array.isArray(causes) ? causes.map((cause) => string(record(cause)["reason"])) : [],
      retryAfter: typeof retryAfterSeconds === "number" ? retryAfterSeconds : retryAfter,
    },
  );
}

/** The server names verb and resource when it forbids something; most other messages name neither. */
const named = (message: string, asked: string): string =>
  message.includes(" cannot ") ? message : `cannot ${asked}: ${message}`;
