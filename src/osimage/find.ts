import type { GenerationRecord, OsimageRecord, Store } from '../store/records.js';
import { OsimageError } from './errors.js';
import { shortId } from './manifest.js';

/** Words that an osimage's name may not be, because `nodeset` gives them another meaning. */
const RESERVED = new Set(['boot', 'shell', 'offline', 'stat', 'osimage']);

/** `name`, if it can name an osimage. Throws OsimageError BAD_NAME. */
export function checkName(name: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name) || RESERVED.has(name)) {
    throw new OsimageError(
      'BAD_NAME',
      `${JSON.stringify(name)}: an osimage's name has 1 to 64 letters, digits, dots, dashes and underscores, begins with a letter or digit and is none of ${[...RESERVED].join(', ')}`,
    );
  }
  return name;
}

/** Throws OsimageError BAD_NAME when there is an osimage called `name`. */
export async function requireFree(store: Pick<Store, 'osimages'>, name: string): Promise<void> {
  if ((await store.osimages.get(name)) === undefined) return;
  throw new OsimageError(
    'BAD_NAME',
    `osimage ${JSON.stringify(name)} exists already; choose another name, or remove it with: rackboot image rm ${name}`,
  );
}

/** The osimage called `name`. Throws OsimageError NO_SUCH_OSIMAGE, which lists what there is. */
export async function findOsimage(store: Pick<Store, 'osimages'>, name: string): Promise<OsimageRecord> {
  const found = await store.osimages.get(name);
  if (found !== undefined) return found;
  const names = (await store.osimages.list()).map((osimage) => osimage.name);
  const there =
    names.length === 0
      ? 'there is none yet, make one with: rackboot image import'
      : `there are ${names.slice(0, 10).join(', ')}`;
  throw new OsimageError('NO_SUCH_OSIMAGE', `no osimage ${JSON.stringify(name)}; ${there}`);
}

/**
 * The generation that `reference` means: `N` (the current one), `N@3` (the third), `N@1a2b3c` (the one whose id begins
 * so; six digits or more). Throws OsimageError NO_SUCH_OSIMAGE, NO_SUCH_GENERATION, AMBIGUOUS_GENERATION.
 */
export async function findGeneration(store: Store, reference: string): Promise<GenerationRecord> {
  const at = reference.indexOf('@');
  const name = at < 0 ? reference : reference.slice(0, at);
  const osimage = await findOsimage(store, name);
  const history = await store.osimages.history(name);
  const wanted = at < 0 ? osimage.current : reference.slice(at + 1).toLowerCase();
  return pickGeneration(name, history, wanted);
}

/** The one of `history` that `wanted` (a number, an id or the beginning of one) means. Throws as findGeneration. */
export function pickGeneration(
  name: string,
  history: readonly GenerationRecord[],
  wanted: string,
): GenerationRecord {
  const matches = /^\d{1,5}$/.test(wanted)
    ? history.filter((record) => record.number === Number(wanted))
    : history.filter((record) => wanted.length >= 6 && record.id.startsWith(wanted));
  const [found, other] = matches;
  if (other !== undefined) {
    throw new OsimageError(
      'AMBIGUOUS_GENERATION',
      `${name}@${wanted} could be ${matches.map((record) => shortId(record.id)).join(' or ')}; give more digits`,
    );
  }
  if (found === undefined) {
    throw new OsimageError(
      'NO_SUCH_GENERATION',
      `${name} has no generation ${JSON.stringify(wanted)}; give a number or six digits of an id from: rackboot image history ${name}`,
    );
  }
  return found;
}

/**
 * The generation of `history` that `record` was made from. Throws OsimageError NO_SUCH_GENERATION when it was made from
 * none, or from one that was removed since, saying which are left; `instead` is the command that names another.
 */
export function parentGeneration(
  record: GenerationRecord,
  history: readonly GenerationRecord[],
  instead: string,
): GenerationRecord {
  const { osimage, number, parent } = record;
  const found = history.find(({ id }) => id === parent);
  if (found !== undefined) return found;
  const others = history.filter(({ id }) => id !== record.id).map((other) => String(other.number));
  const fate =
    parent === null
      ? `${osimage} generation ${number} was made from no other`
      : `the generation that ${osimage} generation ${number} was made from (${shortId(parent)}) was removed`;
  const mend =
    others.length === 0
      ? `there is no other (rackboot image history ${osimage})`
      : `left are ${others.join(', ')}; name one: ${instead}`;
  throw new OsimageError('NO_SUCH_GENERATION', `${fate}; ${mend}`);
}
