import type { DhcpOption } from './packet.js';

/** The longest piece of an option (RFC 3396 §5 splits what is longer). */
export const PIECE_BYTES = 255;

/** Which fields of a message its options lie in, each in order. `file` and `sname` are empty unless they carry some. */
export interface OptionLayout {
  readonly main: readonly DhcpOption[];
  readonly file: readonly DhcpOption[];
  readonly sname: readonly DhcpOption[];
}

/** How many bytes there are for options and what ends them: in the options field, and in the fields that may be overloaded. */
export interface OptionRoom {
  readonly main: number;
  readonly file: number; // 0: it holds a boot file
  readonly sname: number; // 0: it holds a name
}

const MESSAGE_TYPE = 53;
const SERVER_IDENTIFIER = 54;
const RELAY_AGENT_INFORMATION = 82;

/** What simple clients and relays look for in the options field alone. */
const ALWAYS_MAIN: ReadonlySet<number> = new Set([MESSAGE_TYPE, SERVER_IDENTIFIER, RELAY_AGENT_INFORMATION]);

const END_BYTES = 1;
const OVERLOAD_BYTES = 3;

/**
 * Where `options` go: all into the options field when they fit, else the first of them, and the others into `file`,
 * then `sname` (option overload, RFC 2132 §9.3). Undefined when they do not fit in the three together.
 */
export function layOutOptions(options: readonly DhcpOption[], room: OptionRoom): OptionLayout | undefined {
  if (sizeOf(options) + END_BYTES <= room.main) return { main: options, file: [], sname: [] };
  const fixed = options.filter(({ code, data }) => ALWAYS_MAIN.has(code) || data.length > PIECE_BYTES);
  const left = {
    main: room.main - END_BYTES - OVERLOAD_BYTES - sizeOf(fixed),
    file: room.file - END_BYTES,
    sname: room.sname - END_BYTES,
  };
  if (left.main < 0) return undefined;
  const field = new Map<DhcpOption, keyof OptionRoom>(fixed.map((option) => [option, 'main']));
  for (const option of options) {
    if (field.has(option)) continue;
    const size = sizeOf([option]);
    const place = (['main', 'file', 'sname'] as const).find((name) => left[name] >= size);
    if (place === undefined) return undefined;
    left[place] -= size;
    field.set(option, place);
  }
  const inField = (name: keyof OptionRoom): readonly DhcpOption[] =>
    options.filter((option) => field.get(option) === name);
  return { main: inField('main'), file: inField('file'), sname: inField('sname') };
}

/** How many bytes `options` take, without what ends them. */
export function sizeOf(options: readonly DhcpOption[]): number {
  let size = 0;
  for (const { data } of options) size += data.length + 2 * piecesOf(data);
  return size;
}

/** Into how many pieces an option of `data` is split. */
export function piecesOf(data: Buffer): number {
  return Math.max(1, Math.ceil(data.length / PIECE_BYTES));
}
