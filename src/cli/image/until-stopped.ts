/** Runs `body` with a signal that SIGTERM, SIGHUP and, unless it is a shell's, SIGINT give. */
export async function untilStopped<T>(
  isShell: boolean,
  body: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const onStop = (): void => stop.abort();
  const onInterrupt = isShell ? (): void => undefined : onStop;
  process.on('SIGTERM', onStop).on('SIGHUP', onStop).on('SIGINT', onInterrupt);
  try {
    return await body(stop.signal);
  } finally {
    process.off('SIGTERM', onStop).off('SIGHUP', onStop).off('SIGINT', onInterrupt);
  }
}
