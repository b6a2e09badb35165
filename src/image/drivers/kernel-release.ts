const HEADER_MAGIC_AT = 0x202;
const VERSION_POINTER_AT = 0x20e; // kernel_version: an offset from 0x200
const SETUP = 0x200;

/** Bytes of a kernel's file that `kernelRelease` looks at. */
export const KERNEL_HEAD = 64 * 1024;

/**
 * The release that an x86 kernel's file says it has, from its first KERNEL_HEAD bytes (Linux/x86 boot protocol, "The
 * real-mode kernel header"). Undefined for kernels of other architectures.
 */
export function kernelRelease(head: Buffer): string | undefined {
  if (head.length < VERSION_POINTER_AT + 2) return undefined;
  if (head.toString('latin1', HEADER_MAGIC_AT, HEADER_MAGIC_AT + 4) !== 'HdrS') return undefined;
  const pointer = head.readUInt16LE(VERSION_POINTER_AT);
  if (pointer === 0) return undefined;
  const text = head.toString('latin1', SETUP + pointer, SETUP + pointer + 256).split('\0')[0];
  return text?.split(' ')[0] || undefined;
}
