/** How many blocks this process has had read from disks so far, of 512 bytes; what the kernel had in memory is none. */
function blocksRead(): number {
  return process.resourceUsage().fsRead;
}

let seen = blocksRead();

/** Notes that a disk may have been read from, as a read on another thread may do. */
export function noteDiskReads(): void {
  seen = blocksRead();
}

/**
 * Whether anything was read from a disk since this was asked or noted last. A read that took long and found its bytes in
 * memory only waited for the processor.
 */
export function wasDiskRead(): boolean {
  const before = seen;
  seen = blocksRead();
  return seen !== before;
}
