import { canonicalPath, joinPath, ROOT, type ArchivePath } from './cpio/path.js';
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK } from './cpio/header.js';
import { splitDevice } from './device-number.js';
import { contentOf, type Edit } from './edit.js';
import { ImageError } from './errors.js';

/** A line of an mtree file: what it says of one path. What is not there is not said. */
export interface MtreeEntry {
  readonly path: ArchivePath;
  readonly line: number;
  readonly type?: number; // st_mode's type bits
  readonly mode?: number; // permission bits
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number; // seconds
  readonly target?: string; // of a symbolic link, latin-1
  readonly rdev?: { readonly major: number; readonly minor: number };
  /** Regular files that have this in common are names of one file. */
  readonly inode?: string;
}

const TYPES: Readonly<Record<string, number>> = {
  file: S_IFREG,
  dir: S_IFDIR,
  link: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
  socket: S_IFSOCK,
};

/** Keywords that describe a file's content, which the overlay holds, or what a cpio archive has no place for. */
const DESCRIPTIVE =
  /^(size|nlink|flags|cksum|md5|md5digest|rmd160|rmd160digest|(sha1|sha256|sha384|sha512)(digest)?)$/;
const UNDERSTOOD = [
  ...['type', 'mode', 'uid', 'gid', 'uname', 'gname', 'time', 'link', 'device', 'inode', 'resdevice'],
] as const;
type Keyword = (typeof UNDERSTOOD)[number];
type Keywords = ReadonlyMap<string, string>;

const MAX_ID = 0xffff_ffff;
const MIN_TIME = -(2 ** 31);

/**
 * Reads an mtree file (mtree(5), the form that `bsdtar --format=mtree` writes and the older one with indented names
 * and `..`). `text` is latin-1; `file` is its name for messages. Throws ImageError BAD_LAYER, which names file and line.
 */
export function parseMtree(text: string, file: string): MtreeEntry[] {
  const entries: MtreeEntry[] = [];
  const above: ArchivePath[] = []; // directories whose names are given relative to one another
  let defaults: Keywords = new Map();
  for (const { words, line } of logicalLines(text)) {
    const place: Place = { file, line };
    const [name = '', ...rest] = words;
    if (name === '/set') defaults = new Map([...defaults, ...keywordsOf(rest, place)]);
    else if (name === '/unset') {
      defaults = new Map([...defaults].filter(([key]) => !rest.includes(key) && !rest.includes('all')));
    } else if (name.startsWith('/')) {
      throw wrong(
        place,
        `${name} is neither /set nor /unset; write paths relative to the image's root: ./etc/hello`,
      );
    } else if (name === '..') {
      if (above.pop() === undefined) throw wrong(place, '.. without a directory to leave; remove it');
    } else {
      const entry = entryOf(
        unescape(name, place),
        above,
        new Map([...defaults, ...keywordsOf(rest, place)]),
        place,
      );
      entries.push(entry);
      if (entry.type === S_IFDIR && !isFullPath(name)) above.push(entry.path);
    }
  }
  return entries;
}

interface Place {
  readonly file: string;
  readonly line: number;
}

const wrong = ({ file, line }: Place, what: string): ImageError =>
  new ImageError('BAD_LAYER', `${file}:${line}: ${what}`);

/** The words of each line that says something, lines that end in a backslash joined with the next. */
function* logicalLines(text: string): Generator<{ words: string[]; line: number }> {
  let held = '';
  let first = 0;
  for (const [index, raw] of text.split('\n').entries()) {
    const physical = raw.replace(/\r$/, '');
    if (held === '') {
      if (/^\s*(#|$)/.test(physical)) continue;
      first = index + 1;
    }
    if (physical.endsWith('\\')) {
      held += `${physical.slice(0, -1)} `;
      continue;
    }
    const words = (held + physical).split(/[ \t]+/).filter((word) => word !== '');
    held = '';
    if (words.length > 0) yield { words, line: first };
  }
  const words = held.split(/[ \t]+/).filter((word) => word !== '');
  if (words.length > 0) yield { words, line: first };
}

function keywordsOf(words: readonly string[], place: Place): Map<string, string> {
  const found = new Map<string, string>();
  for (const word of words) {
    const equals = word.indexOf('=');
    const key = equals < 0 ? word : word.slice(0, equals);
    if (DESCRIPTIVE.test(key)) continue;
    if (!(UNDERSTOOD as readonly string[]).includes(key)) {
      throw wrong(
        place,
        `keyword ${key} is not one that a layer can obey; it takes ${UNDERSTOOD.join(', ')}`,
      );
    }
    if (equals < 0) throw wrong(place, `keyword ${key} has no value; write ${key}=…`);
    found.set(key, word.slice(equals + 1));
  }
  return found;
}

/** A path with a `/` after its first character is given from the root (mtree(5)). */
const isFullPath = (name: string): boolean => name.indexOf('/', 1) > 0;

function entryOf(name: string, above: readonly ArchivePath[], keywords: Keywords, place: Place): MtreeEntry {
  const path = isFullPath(name) ? canonicalPath(name) : joinPath(above.at(-1) ?? ROOT, name);
  const value = (key: Keyword): string | undefined => keywords.get(key);
  const type = value('type');
  if (type !== undefined && TYPES[type] === undefined) {
    throw wrong(place, `type=${type} is not one of ${Object.keys(TYPES).join(', ')}`);
  }
  const fields: Omit<MtreeEntry, 'path' | 'line'> = {
    ...given('type', type === undefined ? undefined : TYPES[type]),
    ...given('mode', modeOf(value('mode'), place)),
    ...given('uid', idOf('uid', value('uid'), value('uname'), place)),
    ...given('gid', idOf('gid', value('gid'), value('gname'), place)),
    ...given('mtime', timeOf(value('time'), place)),
    ...(type === 'link' ? given('target', targetOf(value('link'), place)) : {}),
    ...(type === 'char' || type === 'block' ? given('rdev', deviceOf(value('device'), place)) : {}),
  };
  const inode = type === 'file' ? value('inode') : undefined;
  return {
    path,
    line: place.line,
    ...fields,
    ...(inode === undefined ? {} : { inode: `${value('resdevice') ?? ''} ${inode}` }),
  };
}

function given<K extends string, V>(key: K, value: V | undefined): { readonly [P in K]?: V } {
  return value === undefined ? {} : ({ [key]: value } as { readonly [P in K]?: V });
}

function modeOf(text: string | undefined, place: Place): number | undefined {
  if (text === undefined) return undefined;
  if (!/^0*[0-7]{1,4}$/.test(text))
    throw wrong(place, `mode=${text} is not an octal number; write mode=0755`);
  return parseInt(text, 8);
}

/** A user's or group's number. Names mean nothing where an image is changed from outside, but for root's. */
function idOf(
  key: 'uid' | 'gid',
  text: string | undefined,
  name: string | undefined,
  place: Place,
): number | undefined {
  if (text === undefined) {
    if (name === undefined) return undefined;
    if (name === 'root') return 0;
    throw wrong(place, `${key === 'uid' ? 'uname' : 'gname'}=${name} without a number; add ${key}=…`);
  }
  const id = /^\d+$/.test(text) ? Number(text) : Infinity;
  if (id > MAX_ID) throw wrong(place, `${key}=${text} is not a number from 0 to ${MAX_ID}`);
  return id;
}

/** Whole seconds, which is all that an archive keeps: libarchive writes -5.5 as `-6.500000000`. */
function timeOf(text: string | undefined, place: Place): number | undefined {
  if (text === undefined) return undefined;
  const seconds = /^(-?\d+)(\.\d*)?$/.exec(text)?.[1];
  const time = seconds === undefined ? NaN : Number(seconds);
  if (!(time >= MIN_TIME && time <= MAX_ID)) {
    throw wrong(place, `time=${text} is not a number of seconds that cpio holds, ${MIN_TIME} to ${MAX_ID}`);
  }
  return time;
}

function targetOf(text: string | undefined, place: Place): string | undefined {
  return text === undefined ? undefined : unescape(text, place);
}

/** `format,major,minor`, or one number as Linux and glibc compose it (makedev(3)). */
function deviceOf(text: string | undefined, place: Place): MtreeEntry['rdev'] {
  if (text === undefined) return undefined;
  const pair = /^[a-z0-9]+,(0x[0-9a-fA-F]+|\d+),(0x[0-9a-fA-F]+|\d+)$/.exec(text);
  const rdev = pair === null ? numberedDevice(text) : { major: Number(pair[1]), minor: Number(pair[2]) };
  if (rdev === undefined || rdev.major > MAX_ID || rdev.minor > MAX_ID) {
    throw wrong(
      place,
      `device=${text} is not a device; write device=native,5,1 with its major and minor number`,
    );
  }
  return rdev;
}

function numberedDevice(text: string): MtreeEntry['rdev'] {
  return /^(0x[0-9a-fA-F]{1,16}|\d{1,19})$/.test(text) ? splitDevice(BigInt(text)) : undefined;
}

const ESCAPES: Readonly<Record<string, string>> = {
  ...{ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', s: ' ', t: '\t', v: '\v', '\\': '\\', '#': '#' },
};

/** What strsvis(3) made of a name, made undone: `\ooo` and the escapes of C. */
function unescape(text: string, place: Place): string {
  return text.replace(/\\([0-3][0-7]{2}|[^])?/g, (whole: string, code: string | undefined) => {
    const plain = code?.length === 3 ? String.fromCharCode(parseInt(code, 8)) : ESCAPES[code ?? ''];
    if (plain === undefined)
      throw wrong(place, `${whole} is not an escape; write \\ooo, three octal digits a byte`);
    return plain;
  });
}

/**
 * What an mtree changes in an archive: files that stand there (from an overlay, or the image's own) get what is said of
 * them; directories, links with a target, devices, pipes and sockets are made where they are missing. `held` are the
 * paths of the overlay; `from` is for messages.
 */
export function mtreeEdits(
  entries: readonly MtreeEntry[],
  held: ReadonlySet<ArchivePath>,
  from: string,
): Edit[] {
  const named = firstNames(entries, held);
  return entries.flatMap((entry): Edit[] => {
    const { path, type, inode, line } = entry;
    const at = { path, from: `${from}:${line}` };
    const fields = {
      ...given('mode', entry.mode),
      ...given('uid', entry.uid),
      ...given('gid', entry.gid),
      ...given('mtime', entry.mtime),
    };
    const made = madeEdit(entry, at);
    const to = inode === undefined ? undefined : named.get(inode);
    const linked: Edit[] = to === undefined || to === path ? [] : [{ op: 'link', ...at, to }];
    return [
      ...(made === undefined ? linked : [made]),
      ...(made !== undefined && type !== S_IFDIR
        ? []
        : [{ op: 'set' as const, ...at, ...given('type', type), ...fields }]),
    ];
  });
}

/** Of each file with several names, one to link the others to: one that the overlay holds, if it does. */
function firstNames(
  entries: readonly MtreeEntry[],
  held: ReadonlySet<ArchivePath>,
): ReadonlyMap<string, ArchivePath> {
  const names = new Map<string, ArchivePath>();
  for (const { inode, path } of entries) {
    if (inode === undefined) continue;
    const known = names.get(inode);
    if (known === undefined || (!held.has(known) && held.has(path))) names.set(inode, path);
  }
  return names;
}

const USUAL_MODES: Readonly<Record<number, number>> = { [S_IFDIR]: 0o755, [S_IFLNK]: 0o777 };

/** The edit that makes what needs no content of its own. */
function madeEdit(
  entry: MtreeEntry,
  at: { readonly path: ArchivePath; readonly from: string },
): Edit | undefined {
  const { type, target, rdev } = entry;
  if (type === undefined || type === S_IFREG) return undefined;
  if (type === S_IFLNK && target === undefined) return undefined;
  if ((type === S_IFCHR || type === S_IFBLK) && rdev === undefined) return undefined;
  return {
    op: 'put',
    ...at,
    mode: type | (entry.mode ?? USUAL_MODES[type] ?? 0o600),
    uid: entry.uid ?? 0,
    gid: entry.gid ?? 0,
    ...given('mtime', entry.mtime),
    ...given('rdev', rdev),
    ...given('target', target),
    content: contentOf(Buffer.from(target ?? '', 'latin1')),
  };
}
