/** Messages to netfilter: linux/netfilter/nfnetlink.h. Attribute contents are in network byte order where nothing else is said. */
import { AttributeWriter, flags } from "../netns/netlink-layout.ts";

export const nftables = 10; // NFNL_SUBSYS_NFTABLES
export const inet = 1; // NFPROTO_INET

export interface MessageHead {
  /** The subsystem's number in the upper byte. */
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** nfgenmsg: `AF_…` or `NFPROTO_…`. */
  readonly family: number;
  /** nfgenmsg: of the beginning and the end of a batch the subsystem; else 0. */
  readonly resource?: number;
}

/** Length of struct nfgenmsg, which stands before the attributes. */
export const familyHeader = 4;

/** Writes messages, one after another, into memory that is used again: a change of a policy takes hundreds of attributes. */
export class MessageWriter extends AttributeWriter {
  /** The message that was written last: where its flags are, and which. */
  #latest = { at: 0, flags: 0 };

  /** @param content writes the attributes */
  message(
    { type, flags: own, sequence, family, resource = 0 }: MessageHead,
    content: () => void = () => undefined,
  ): void {
    const start = this.length;
    this.u32(0).u16(type);
    const latest = { at: this.length, flags: own };
    this.u16(own);
    this.u32(sequence).u32(0); // the port: the kernel knows it
    this.u8(family).u8(0); // NFNETLINK_V0
    this.network16(resource);
    content();
    this.setU32(start, this.length - start);
    this.#latest = latest;
  }

  /** Asks for an answer to the message that was written last. */
  acknowledge(): void {
    this.setU16(this.#latest.at, this.#latest.flags | flags.acknowledge);
  }

  /** A copy of what was written since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const written = this.finish();
    this.rewind(0);
    return written;
  }
}
