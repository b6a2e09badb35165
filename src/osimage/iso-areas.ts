import { createHash } from 'node:crypto';
import { messageOf } from '../errors.js';
import { openIso } from '../image/iso/reader.js';
import { readRanges, type ByteRange, type IsoSource } from '../image/iso/source.js';
import { FIRST_DESCRIPTOR, SECTOR } from '../image/iso/volume.js';
import type { Finding } from './verify.js';

/** A part of an ISO that is no artifact: what boots it, what finds its files, and the files rackboot adds. */
export interface IsoArea {
  readonly name: string; // `system area`, `volume descriptors`, `directories`, `end`, or `/` and the file's path
  readonly ranges: readonly ByteRange[];
}

/** An area as the ISO should have it, and what was found instead. */
export interface ComparedArea {
  readonly name: string;
  readonly size: number;
  readonly sha256: string;
  readonly finding: Finding;
}

const SYSTEM_AREA = FIRST_DESCRIPTOR * SECTOR;

/** Compares the areas of `actual` with those of `expected`, which is the same ISO made anew; not the files `skipped`. */
export async function compareAreas(
  expected: IsoSource,
  actual: IsoSource,
  skipped: ReadonlySet<string>,
): Promise<ComparedArea[]> {
  const compared: ComparedArea[] = [];
  for (const { name, ranges } of await areasOf(expected, skipped)) {
    const size = ranges.reduce((sum, range) => sum + range.length, 0);
    const sha256 = await digestOf(expected, ranges);
    compared.push({ name, size, sha256, finding: await compare(actual, ranges, sha256) });
  }
  if (actual.size > expected.size) {
    const detail = `${actual.size - expected.size} bytes too many`;
    compared.push({
      name: 'end',
      size: 0,
      sha256: await digestOf(expected, []),
      finding: { state: 'different', detail },
    });
  }
  return compared;
}

async function compare(actual: IsoSource, ranges: readonly ByteRange[], sha256: string): Promise<Finding> {
  if (ranges.some((range) => range.offset + range.length > actual.size)) {
    return { state: 'different', detail: `the ISO ends at byte ${actual.size}` };
  }
  try {
    const digest = await digestOf(actual, ranges);
    return digest === sha256 ? { state: 'same' } : { state: 'different', detail: `sha256 ${digest}` };
  } catch (error) {
    return { state: 'different', detail: messageOf(error) };
  }
}

/** Every byte of the ISO that belongs to none of the files `skipped`, by what it is. */
async function areasOf(iso: IsoSource, skipped: ReadonlySet<string>): Promise<IsoArea[]> {
  const { nodes, volumes } = await openIso(iso);
  const files = nodes.filter((node) => node.kind === 'file' && node.extents.length > 0);
  const descriptorsEnd = SYSTEM_AREA + (volumes.length + 2) * SECTOR;
  const areas: IsoArea[] = [
    { name: 'system area', ranges: [{ offset: 0, length: SYSTEM_AREA }] },
    { name: 'volume descriptors', ranges: [{ offset: SYSTEM_AREA, length: descriptorsEnd - SYSTEM_AREA }] },
    ...files.map(({ path, extents }) => ({ name: `/${path}`, ranges: extents })),
  ];
  const rest = complement(
    areas.flatMap((area) => area.ranges),
    iso.size,
  );
  const [last] = rest.slice(-1);
  const ending = last !== undefined && last.offset + last.length === iso.size ? [last] : [];
  return [
    ...areas.filter(({ name }) => !skipped.has(name)),
    { name: 'directories', ranges: rest.slice(0, rest.length - ending.length) },
    { name: 'end', ranges: ending }, // padding, and the backup GPT
  ];
}

/** What of [0, size) none of `ranges` covers; they may overlap. */
function complement(ranges: readonly ByteRange[], size: number): ByteRange[] {
  const gaps: ByteRange[] = [];
  let at = 0;
  for (const { offset, length } of ranges.toSorted((a, b) => a.offset - b.offset)) {
    if (offset > at) gaps.push({ offset: at, length: offset - at });
    at = Math.max(at, offset + length);
  }
  if (at < size) gaps.push({ offset: at, length: size - at });
  return gaps;
}

async function digestOf(source: IsoSource, ranges: readonly ByteRange[]): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of readRanges(source, ranges)) hash.update(chunk);
  return hash.digest('hex');
}
