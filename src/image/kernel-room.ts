/** Bytes of a kernel's file that `initrdRoom` looks at. */
export const KERNEL_HEADER = 0x264;

const MAGIC_AT = 0x202;
const VERSION_AT = 0x206;
const INITRD_ADDR_MAX_AT = 0x22c; // since version 2.03: the highest address that an initrd may occupy
const PREF_ADDRESS_AT = 0x258; // since 2.10: where the kernel wants to lie
const INIT_SIZE_AT = 0x260; // since 2.10: the memory it needs there to start

/**
 * How many bytes of initrds a BIOS loader finds room for beside an x86 kernel: between the kernel at its preferred place
 * and the highest address it allows, whatever the memory (Linux/x86 boot protocol, "The real-mode kernel header"; loaders
 * that obey it: GRUB, PXELINUX, iPXE). `head` is the file's first KERNEL_HEADER bytes. Undefined for any other kernel.
 */
export function initrdRoom(head: Buffer): number | undefined {
  if (head.length < KERNEL_HEADER) return undefined;
  if (head.toString('latin1', MAGIC_AT, MAGIC_AT + 4) !== 'HdrS') return undefined;
  if (head.readUInt16LE(VERSION_AT) < 0x20a) return undefined;
  const end = head.readUInt32LE(INITRD_ADDR_MAX_AT) + 1;
  const kernelEnd = Number(head.readBigUInt64LE(PREF_ADDRESS_AT)) + head.readUInt32LE(INIT_SIZE_AT);
  return Math.max(0, end - kernelEnd);
}
