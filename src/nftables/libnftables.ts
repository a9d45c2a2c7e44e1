/** libnftables(3) in process. Calls block their thread: used in `kernel-worker.ts` only. */
import koffi from "koffi";

/** Handle of a `struct nft_ctx`. */
export type Context = { readonly opaque: unique symbol };

const jsonOutput = 1 << 4; // NFT_CTX_OUTPUT_JSON

export interface Libnftables {
  /** A context with a netlink socket in the thread's present network namespace. */
  open(): Context;
  /** @returns nft's exit status and all that it wrote. */
  run(context: Context, script: string, json: boolean): { ok: boolean; output: string; error: string };
  close(context: Context): void;
}

/**
 * Loads the library: `BULKHEAD_LIBNFTABLES`, or the system's.
 * @throws where there is none
 */
export function loadLibnftables(): Libnftables {
  const library = koffi.load(process.env["BULKHEAD_LIBNFTABLES"] ?? "libnftables.so.1");
  const create = library.func("void *nft_ctx_new(uint32_t flags)") as (flags: number) => Context | null;
  const free = library.func("void nft_ctx_free(void *ctx)") as (ctx: Context) => void;
  const bufferOutput = library.func("int nft_ctx_buffer_output(void *ctx)") as (ctx: Context) => number;
  const bufferError = library.func("int nft_ctx_buffer_error(void *ctx)") as (ctx: Context) => number;
  const output = library.func("const char *nft_ctx_get_output_buffer(void *ctx)") as (ctx: Context) => string | null;
  const error = library.func("const char *nft_ctx_get_error_buffer(void *ctx)") as (ctx: Context) => string | null;
  const setFlags = library.func("void nft_ctx_output_set_flags(void *ctx, uint32_t flags)") as (
    ctx: Context,
    flags: number,
  ) => void;
  const command = library.func("int nft_run_cmd_from_buffer(void *ctx, const char *script)") as (
    ctx: Context,
    script: string,
  ) => number;
  return {
    open() {
      const context = create(0);
      if (context === null) throw new Error("libnftables: no context");
      if (bufferOutput(context) !== 0 || bufferError(context) !== 0) throw new Error("libnftables: out of memory");
      return context;
    },
    run(context, script, json) {
      setFlags(context, json ? jsonOutput : 0);
      const ok = command(context, script) === 0;
      return { ok, output: output(context) ?? "", error: error(context) ?? "" };
    },
    close: free,
  };
}
