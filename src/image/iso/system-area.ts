import { decodeGptHeader, decodeGptPartitions, GPT_SECTOR, type GptPartition } from './gpt.js';

/** One used entry of an MBR partition table; sectors are 512 bytes. */
export interface MbrPartition {
  readonly active: boolean;
  readonly type: number;
  readonly firstSector: number;
  readonly sectors: number;
}

/** What the first 32 KiB of an image hold for machines that see it as a disk. */
export interface SystemArea {
  readonly mbr: {
    readonly bootCode: boolean; // something to run lies before the partition table
    readonly partitions: readonly MbrPartition[];
  } | null;
  readonly gpt: { readonly diskGuid: string; readonly partitions: readonly GptPartition[] } | null;
}

/** Reads the MBR and the GPT of a system area of 32 KiB. A GPT whose checksums are wrong counts as none. */
export function decodeSystemArea(area: Buffer): SystemArea {
  const header = decodeGptHeader(area.subarray(GPT_SECTOR, 2 * GPT_SECTOR));
  const partitions = header === undefined ? undefined : decodeGptPartitions(header, area);
  return {
    mbr: decodeMbr(area),
    gpt: header === undefined || partitions === undefined ? null : { diskGuid: header.diskGuid, partitions },
  };
}

function decodeMbr(area: Buffer): SystemArea['mbr'] {
  if (area.readUInt16BE(510) !== 0x55aa) return null;
  const partitions: MbrPartition[] = [];
  for (let at = 446; at < 510; at += 16) {
    const sectors = area.readUInt32LE(at + 12);
    if (sectors === 0) continue;
    partitions.push({
      active: area.readUInt8(at) === 0x80,
      type: area.readUInt8(at + 4),
      firstSector: area.readUInt32LE(at + 8),
      sectors,
    });
  }
  return { bootCode: area.subarray(0, 440).some((byte) => byte !== 0), partitions };
}
