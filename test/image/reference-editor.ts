import { collect } from '../../src/image/chunks.js';
import type { Edit } from '../../src/image/edit.js';
import { archiveBytes, item, parseArchive, type Item } from './newc.js';

const DIR = 0o040000;
const LINK = 0o120000;
const type = (mode: number): number => mode & 0o170000;
const up = (path: string): string => path.split('/').slice(0, -1).join('/');
const split = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.');

interface Place {
  now: Item | null;
  readonly path: string;
  readonly inode: string | null; // what its hard links have in common
  linked: boolean; // still one of them
}

/**
 * One archive after `edits`, which must be possible, written anew from its first byte to its last with everything in
 * memory: what an incremental edit has to be equal to.
 */
export async function rewriteArchive(plain: Buffer, edits: readonly Edit[], mtime: number): Promise<Buffer> {
  const { items, trailer, after } = parseArchive(plain);
  const places = items.map((now): Place => ({
    now,
    path: split(now.name).join('/'),
    inode: now.nlink > 1 && type(now.mode) !== DIR ? `${now.dev.join()}:${now.ino}:${type(now.mode)}` : null,
    linked: true,
  }));
  const added = new Map<string, Item>();
  const used = new Set(items.map(({ ino }) => ino));
  let ino = Math.max(0, ...used);
  const nextInode = (): number => {
    do ino = ino === 0xffff_ffff ? 1 : ino + 1;
    while (used.has(ino));
    used.add(ino);
    return ino;
  };
  const prefix = items.filter(({ name }) => name.startsWith('./')).length * 2 > items.length ? './' : '';

  const placeOf = (path: string): Place | undefined =>
    places.findLast((place) => place.now !== null && place.path === path);
  const find = (path: string): Item | undefined => added.get(path) ?? placeOf(path)?.now ?? undefined;
  const resolve = (path: string, last: boolean): string => {
    let done: string[] = [];
    const ahead = split(path);
    while (ahead.length > 0) {
      const part = ahead.shift()!;
      if (part === '..') {
        done.pop();
        continue;
      }
      const found = find([...done, part].join('/'));
      if (found !== undefined && type(found.mode) === LINK && (last || ahead.length > 0)) {
        const target = found.data.toString('latin1');
        if (target.startsWith('/')) done = [];
        ahead.unshift(...split(target));
      } else done.push(part);
    }
    return done.join('/');
  };
  const peersOf = (place: Place): Place[] =>
    place.inode === null || !place.linked
      ? []
      : places.filter(
          (other) => other !== place && other.now !== null && other.linked && other.inode === place.inode,
        );
  const leave = (place: Place): void => {
    const peers = peersOf(place);
    place.linked = false;
    const { data, check } = place.now!;
    peers.forEach((peer, at) => {
      const kept = { ...peer.now!, nlink: Math.max(1, peer.now!.nlink - 1) };
      const takes = at === peers.length - 1 && data.length > 0 && kept.data.length === 0;
      peer.now = takes ? { ...kept, data, check } : kept;
    });
  };
  const make = (path: string, fields: Partial<Item>): Item =>
    item({ name: prefix + path, magic: items.at(-1)?.magic ?? '070701', ino: nextInode(), mtime, ...fields });
  const makeParents = (path: string): void => {
    if (path === '' || find(path) !== undefined) return;
    makeParents(up(path));
    added.set(path, make(path, { mode: DIR | 0o755, nlink: 2 }));
  };

  for (const edit of edits) {
    if (edit.op === 'put') {
      const path = resolve(edit.path, false);
      if (path === '') continue;
      makeParents(up(path));
      if (type(edit.mode) === DIR && find(path) !== undefined) continue;
      const data = await collect(edit.content.read());
      const made = make(path, {
        mode: edit.mode,
        uid: edit.uid,
        gid: edit.gid,
        nlink: type(edit.mode) === DIR ? 2 : 1,
        rdev: [edit.rdev?.major ?? 0, edit.rdev?.minor ?? 0],
        data,
      });
      const summed = made.magic === '070702' && type(made.mode) === 0o100000;
      const check = summed ? data.reduce((sum, byte) => sum + byte, 0) : 0;
      const place = added.has(path) ? undefined : placeOf(path);
      if (place === undefined) added.set(path, { ...made, check });
      else {
        const { name, magic } = place.now!;
        leave(place);
        place.now = { ...made, name, magic, check };
      }
    } else if (edit.op === 'delete') {
      const path = resolve(edit.path, false);
      const gone = (other: string): boolean => other === path || other.startsWith(`${path}/`);
      for (const place of places) {
        if (place.now === null || !gone(place.path)) continue;
        leave(place);
        place.now = null;
      }
      for (const other of [...added.keys()]) if (gone(other)) added.delete(other);
    } else if (edit.op !== 'chmod') {
      throw new Error(`the reference knows no ${edit.op}`);
    } else {
      const path = resolve(edit.path, true);
      const changed = (now: Item): Item => ({ ...now, mode: type(now.mode) | edit.mode });
      const fresh = added.get(path);
      const place = placeOf(path);
      if (fresh !== undefined) added.set(path, changed(fresh));
      else if (place !== undefined) {
        for (const one of [place, ...peersOf(place)]) one.now = changed(one.now!);
      }
    }
  }

  const kept = places.flatMap(({ now }) => (now === null ? [] : [now]));
  const fresh = [...added.keys()].sort(compare).map((path) => added.get(path)!);
  const unpadded = archiveBytes([...kept, ...fresh], 1, trailer);
  if (plain.length % 512 !== 0) return Buffer.concat([unpadded, Buffer.alloc(after)]);
  const whole = Math.floor(after / 512) * 512;
  const length = Math.ceil((unpadded.length + whole) / 512) * 512;
  return Buffer.concat([unpadded, Buffer.alloc(length - unpadded.length)]);
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
