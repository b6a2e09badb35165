import type { PlacedEntry } from '../archive-index.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from '../cpio/header.js';
import { openIso, readNode, type IsoImage } from '../iso/reader.js';
import type { IsoSource } from '../iso/source.js';
import type { IsoNode } from '../iso/tree.js';
import { ArchiveTree } from '../tree.js';
import { placedEntry, type Contents } from './contents.js';

const TYPES: Readonly<Record<IsoNode['kind'], number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  block: S_IFBLK,
  character: S_IFCHR,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
};

/** Looks into an ISO image. Throws ImageError, as openIso does. */
export async function openIsoContents(source: IsoSource): Promise<Contents> {
  return isoContents(await openIso(source));
}

/** An ISO image that is open. Where it does not record modes and owners, files are 0444 and directories 0555, of 0:0. */
export function isoContents(image: IsoImage): Contents {
  const nodes = new Map<PlacedEntry, IsoNode>();
  const entries = image.nodes.map((node, at) => {
    const entry = entryOf(node, at);
    nodes.set(entry, node);
    return entry;
  });
  return {
    tree: new ArchiveTree(entries),
    async *read(entry) {
      const node = nodes.get(entry);
      if (node !== undefined) yield* readNode(image, node);
    },
  };
}

function entryOf(node: IsoNode, at: number): PlacedEntry {
  const rawName = latin1(node.path);
  return placedEntry({
    rawName,
    header: {
      magic: '070701',
      ino: at + 1,
      mode: node.mode ?? TYPES[node.kind] | (node.kind === 'directory' ? 0o555 : 0o444),
      uid: node.uid ?? 0,
      gid: node.gid ?? 0,
      nlink: node.kind === 'directory' ? 2 : 1,
      mtime: node.mtime ?? 0,
      size: node.size,
      devMajor: 0,
      devMinor: 0,
      rdevMajor: node.device?.major ?? 0,
      rdevMinor: node.device?.minor ?? 0,
      nameSize: rawName.length + 1,
      check: 0,
    },
    offset: 0,
    dataOffset: 0,
    end: 0,
    ...(node.target === undefined ? {} : { target: latin1(node.target) }),
  });
}

const latin1 = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');
