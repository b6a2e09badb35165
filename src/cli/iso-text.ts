import type { BootImage } from '../image/iso/el-torito.js';
import { printable } from '../image/printable.js';
import type { IsoImage } from '../image/iso/reader.js';
import type { IsoNode } from '../image/iso/tree.js';
import type { IsoVolume } from '../image/iso/volume.js';

const TYPE_LETTERS: Readonly<Record<IsoNode['kind'], string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  block: 'b',
  character: 'c',
  fifo: 'p',
  socket: 's',
};

/** What `iso inspect --json` prints. */
export function isoFacts(image: IsoImage): unknown {
  const { source, volumes, boot, systemArea, namespace, udf, nodes } = image;
  return {
    sizeBytes: source.size,
    namespace,
    udf: udf === null ? null : { volumeId: udf.volumeId, revision: udf.revision, blockSize: udf.blockSize },
    volumes: volumes.map(({ root: _root, ...volume }) => volume),
    boot,
    mbr: systemArea.mbr,
    gpt: systemArea.gpt,
    files: nodes.filter(({ kind }) => kind === 'file').length,
    directories: nodes.filter(({ kind }) => kind === 'directory').length,
    symlinks: nodes.filter(({ kind }) => kind === 'symlink').length,
    fileBytes: nodes.reduce((sum, { size }) => sum + size, 0),
  };
}

/** One element of what `iso ls --json` prints. */
export function nodeFacts(node: IsoNode): unknown {
  const { mode, mtime, path, ...rest } = node;
  return {
    path: `/${path}`,
    ...rest,
    mode: mode === null ? null : (mode & 0o7777).toString(8).padStart(4, '0'),
    mtime: mtime === null ? null : isoTime(mtime),
  };
}

/** `iso inspect` for people. */
export function describeIso(image: IsoImage): string {
  const { mbr, gpt } = image.systemArea;
  const files = image.nodes.filter(({ kind }) => kind === 'file');
  return [
    `image       ${image.source.size} bytes; ${files.length} files, names from ${image.namespace}`,
    ...image.volumes.map(describeVolume),
    ...(image.udf === null
      ? []
      : [
          `udf         ${printable(image.udf.volumeId)} (revision ${image.udf.revision}; blocks of ${image.udf.blockSize} bytes)`,
        ]),
    ...(image.boot.length === 0 ? ['boot        no El Torito catalog: no firmware boots this as a CD'] : []),
    ...image.boot.map(describeBoot),
    mbr === null
      ? 'mbr         none: not bootable as a disk on BIOS'
      : `mbr         ${mbr.bootCode ? 'boot code' : 'no boot code'}; ${mbr.partitions
          .map((part) => `type 0x${hex(part.type)} at ${part.firstSector}+${part.sectors}`)
          .join(', ')}`,
    gpt === null
      ? 'gpt         none'
      : `gpt         ${gpt.diskGuid}; ${gpt.partitions
          .map((part) => `${printable(part.name)} ${part.firstSector}-${part.lastSector}`)
          .join(', ')}`,
  ].join('\n');
}

/** `iso ls` for people: mode, owner, size, time, path, as `ls -l` shows them. */
export function listNodes(nodes: readonly IsoNode[]): string {
  const rows = nodes.map((node) => ({
    mode: modeText(node),
    owner: `${node.uid ?? '-'}:${node.gid ?? '-'}`,
    size: node.device === undefined ? String(node.size) : `${node.device.major},${node.device.minor}`,
    time: node.mtime === null ? '-' : isoTime(node.mtime).slice(0, 16).replace('T', ' '),
    path: `/${node.path}${node.kind === 'symlink' ? ` -> ${node.target ?? '(unreadable)'}` : ''}`,
  }));
  const width = (key: 'owner' | 'size'): number =>
    rows.reduce((most, row) => Math.max(most, row[key].length), 0);
  const [owner, size] = [width('owner'), width('size')];
  return rows
    .map((row) =>
      [
        row.mode,
        row.owner.padEnd(owner),
        row.size.padStart(size),
        row.time.padEnd(16),
        printable(row.path),
      ].join('  '),
    )
    .join('\n');
}

function describeVolume(volume: IsoVolume): string {
  const made = [volume.created ?? 'no date', volume.preparerId || volume.applicationId]
    .filter(Boolean)
    .join(', ');
  return `volume      ${printable(volume.volumeId)} (${volume.kind}; ${volume.sizeBytes} bytes; ${printable(made)})`;
}

function describeBoot(boot: BootImage): string {
  const platform =
    boot.platform === 'other' ? `platform 0x${hex(boot.platformId)}` : boot.platform.toUpperCase();
  const emulation = boot.emulation === 'none' ? 'no emulation' : `${boot.emulation} emulation`;
  return `boot        ${platform}, ${boot.bootable ? 'bootable' : 'not bootable'}, ${emulation}, ${boot.loadSectors} sectors of 512 from sector ${boot.sector}`;
}

function modeText({ kind, mode }: IsoNode): string {
  if (mode === null) return `${TYPE_LETTERS[kind]}?????????`;
  const special = [0o4000, 0o2000, 0o1000];
  const letters = [6, 3, 0].map((shift, index) => {
    const bits = mode >> shift;
    const runs = (bits & 1) !== 0;
    const set = (mode & (special[index] ?? 0)) !== 0;
    const letter = index === 2 ? 't' : 's';
    const last = set ? (runs ? letter : letter.toUpperCase()) : runs ? 'x' : '-';
    return `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`;
  });
  return TYPE_LETTERS[kind] + letters.join('');
}

function isoTime(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? '-' : date.toISOString();
}

function hex(value: number): string {
  return value.toString(16).padStart(2, '0');
}
