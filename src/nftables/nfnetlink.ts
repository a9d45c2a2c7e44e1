/** Messages to netfilter: linux/netfilter/nfnetlink.h. Attribute contents are in network byte order where nothing else is said. */
import { AttributeWriter, flags, messageHeader } from "../netns/netlink-layout.ts";

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
  /** Where the message that was written last begins. */
  #latest = 0;

  /** @param content writes the attributes */
  message(
    { type, flags: own, sequence, family, resource = 0 }: MessageHead,
    content: () => void = () => undefined,
  ): void {
    const start = this.length;
    this.u32(0).u16(type).u16(own);
    this.u32(sequence).u32(0); // the port: the kernel knows it
    this.u8(family).u8(0); // NFNETLINK_V0
    this.u8(resource >> 8).u8(resource & 255);
    content();
    this.setU32(start, this.length - start);
    this.#latest = start;
  }

  /** Asks for an answer to the message that was written last. */
  acknowledge(): void {
    const at = this.#latest + messageHeader - 10; // nlmsg_flags
    this.setU16(at, this.getU16(at) | flags.acknowledge);
  }

  /** A copy of what was written since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const written = this.finish();
    this.rewind(0);
    return written;
  }
}
