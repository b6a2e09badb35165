import { once } from 'node:events';
import { startFilter, type Filter, type FilterProgram } from '../filter.js';

/** Gives `filter` bytes, and waits while it has enough to do. Says whether it still takes any. */
export async function writeTo({ input }: Filter, bytes: Buffer): Promise<boolean> {
  if (!input.writable) return false;
  if (!input.write(bytes)) {
    const waiting = new AbortController();
    const { signal } = waiting;
    const heard = (event: string): Promise<unknown> => once(input, event, { signal }).catch(() => undefined);
    if (!input.destroyed) await Promise.race([heard('drain'), heard('close')]);
    waiting.abort();
  }
  return input.writable;
}

/** What `program` makes of `source`. Throws ImageError MISSING_TOOL, TOOL_FAILED, and whatever `source` throws. */
export async function* filterThrough(
  program: FilterProgram,
  source: AsyncIterable<Buffer>,
): AsyncGenerator<Buffer> {
  const filter = startFilter(program);
  const feeding = (async (): Promise<void> => {
    try {
      for await (const chunk of source) if (!(await writeTo(filter, chunk))) break;
      filter.input.end();
    } catch (error) {
      await filter.stop();
      throw error;
    }
  })();
  feeding.catch(() => undefined); // reported below
  try {
    for await (const chunk of filter.output as AsyncIterable<Buffer>) yield chunk;
    await feeding;
    await filter.succeeded();
  } finally {
    await filter.stop();
  }
}
