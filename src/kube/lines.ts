/** Lines of a stream, split on bytes: a watch is one JSON object a line, of any number of lines. */
import { NetworkError } from "./errors.ts";

/** An object in etcd is at most 1.5 MiB; as JSON with escapes, twice, and some more. */
export const longestLine = 8 * 2 ** 20;

const newline = 10;

/**
 * The complete lines of each chunk, without their newlines; empty lines are left out. What follows the last newline
 * is half a line of a connection that broke, and is dropped. Lines of one chunk share its memory: they are not kept.
 * @throws NetworkError when a line is longer than `limit` bytes
 */
export async function* lines(chunks: AsyncIterable<Buffer>, limit = longestLine): AsyncGenerator<readonly Buffer[]> {
  let parts: Buffer[] = [];
  let held = 0;
  for await (const chunk of chunks) {
    const found: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, start)) {
      const tail = chunk.subarray(start, end);
      start = end + 1;
      const line = held === 0 ? tail : Buffer.concat([...parts, tail], held + tail.length);
      parts = [];
      held = 0;
      if (line.length > limit) throw tooLong(limit);
      if (line.length > 0) found.push(line);
    }
    if (start < chunk.length) {
      // A chunk's memory is its own: the rest of it is copied only when it is small beside what it would hold.
      const rest = chunk.subarray(start);
      parts.push(rest.length * 4 < chunk.length ? Buffer.from(rest) : rest);
      held += rest.length;
      if (held > limit) throw tooLong(limit);
    }
    if (found.length > 0) yield found;
  }
}

const tooLong = (limit: number): NetworkError => new NetworkError(`a line of the answer is longer than ${limit} bytes`);
