/** The head of a kernel's file with the fields given, at their places in the boot protocol. */
export function kernelHead(fields: {
  readonly magic?: string;
  readonly version?: number;
  readonly initrdAddrMax?: number;
  readonly prefAddress?: bigint;
  readonly initSize?: number;
}): Buffer {
  const head = Buffer.alloc(4096);
  head.write(fields.magic ?? 'HdrS', 0x202, 'latin1');
  head.writeUInt16LE(fields.version ?? 0x20f, 0x206);
  head.writeUInt32LE(fields.initrdAddrMax ?? 0x7fffffff, 0x22c);
  head.writeBigUInt64LE(fields.prefAddress ?? 0x1000000n, 0x258);
  head.writeUInt32LE(fields.initSize ?? 0x3000000, 0x260);
  return head;
}
