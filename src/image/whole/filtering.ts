import { startFilter, writeTo, type FilterProgram } from '../filter.js';

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
  } catch (error) {
    await feeding; // a source that failed is why the output broke off
    throw error;
  } finally {
    await filter.stop();
  }
}
