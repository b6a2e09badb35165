import type { ExtentMap, Part } from './extents.js';

/** How many bytes `part` stands for. */
export function partLength(part: Part): number {
  return part.kind === 'inline' ? part.bytes.length : part.length;
}

/** The parts of bytes [start, end), the first and last of them cut to fit. Throws RangeError outside [0, size]. */
export function partsOf(map: ExtentMap, start: number, end: number): Part[] {
  checkWindow(map, start, end);
  if (start === end) return [];
  const ends = endsOf(map);
  const cut: Part[] = [];
  for (let index = firstBeyond(ends, start); index < map.parts.length; index++) {
    const part = map.parts[index];
    const from = index === 0 ? 0 : (ends[index - 1] ?? 0);
    if (part === undefined || from >= end) break;
    cut.push(cutPart(part, Math.max(start - from, 0), Math.min(end - from, partLength(part))));
  }
  return cut;
}

function checkWindow(map: ExtentMap, start: number, end: number): void {
  const whole = Number.isSafeInteger(start) && Number.isSafeInteger(end);
  if (!whole || start < 0 || end < start || end > map.size) {
    throw new RangeError(`bytes ${start} to ${end} are not inside the ${map.size} bytes there are`);
  }
}

function cutPart(part: Part, from: number, to: number): Part {
  switch (part.kind) {
    case 'blob':
      return { ...part, offset: part.offset + from, length: to - from };
    case 'inline':
      return { kind: 'inline', bytes: part.bytes.subarray(from, to) };
    case 'zero':
      return { kind: 'zero', length: to - from };
  }
}

const knownEnds = new WeakMap<ExtentMap, Float64Array>();

/** Where each part ends, kept with the map: a map is read many times, in small windows, by many clients. */
function endsOf(map: ExtentMap): Float64Array {
  let ends = knownEnds.get(map);
  if (ends === undefined) {
    ends = new Float64Array(map.parts.length);
    let at = 0;
    for (const [index, part] of map.parts.entries()) {
      at += partLength(part);
      ends[index] = at;
    }
    knownEnds.set(map, ends);
  }
  return ends;
}

/** The first index whose value is greater than `at`. */
function firstBeyond(ends: Float64Array, at: number): number {
  let low = 0;
  let high = ends.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ends[middle] ?? Infinity) > at) high = middle;
    else low = middle + 1;
  }
  return low;
}
