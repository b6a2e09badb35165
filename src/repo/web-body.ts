import type { IncomingMessage } from 'node:http';

const AHEAD = 1 << 20; // bytes held at most, about

/**
 * The body of an answer. What came before the connection broke is given before the error is thrown: Node itself drops it, and
 * a fetch that goes on later would get nowhere on a bad line.
 */
export function bodyOf(answer: IncomingMessage): AsyncIterable<Buffer> {
  const chunks: Buffer[] = [];
  let held = 0;
  let wake = (): void => undefined; // whoever waits for more
  let end: { readonly error?: Error } | undefined;
  answer.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    held += chunk.length;
    if (held > AHEAD) answer.pause();
    wake();
  });
  const finish = (error?: Error): void => {
    end ??= error === undefined ? {} : { error };
    wake();
  };
  answer.on('end', () => finish());
  answer.on('error', (error) => finish(error));
  answer.on('close', () => finish(answer.complete ? undefined : new Error('the connection broke')));
  return (async function* () {
    try {
      for (;;) {
        const chunk = chunks.shift();
        if (chunk !== undefined) {
          held -= chunk.length;
          if (held <= AHEAD && answer.isPaused()) answer.resume();
          yield chunk;
        } else if (end !== undefined) {
          if (end.error !== undefined) throw end.error;
          return;
        } else {
          await new Promise<void>((resolve) => (wake = resolve));
        }
      }
    } finally {
      answer.destroy();
    }
  })();
}
