import { ImageError } from '../errors.js';

/** The records of an extended header, by keyword; values in latin-1, since names need not be UTF-8. */
export type PaxRecords = ReadonlyMap<string, string>;

/** One of them. */
export type PaxRecord = readonly [key: string, value: string];

/** The records of an extended header's data; of one keyword the last counts. Throws ImageError BAD_HEADER. */
export const decodePax = (data: Buffer, offset: number): PaxRecords => new Map(listPax(data, offset));

/**
 * All records of an extended header's data: "length keyword=value" and a newline each (POSIX.1-2017, pax, "pax Extended
 * Header"). `offset` is its place in the archive. Throws ImageError BAD_HEADER.
 */
export function listPax(data: Buffer, offset: number): PaxRecord[] {
  const records: PaxRecord[] = [];
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? '' : data.toString('latin1', at, space);
    const length = /^[1-9]\d*$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = data.indexOf(0x3d, space);
    if (length === 0 || end > data.length || equals < 0 || equals >= end || data[end - 1] !== 0x0a) {
      throw new ImageError(
        'BAD_HEADER',
        `the extended tar header at offset ${offset} is damaged at its byte ${at}; fetch the file again`,
      );
    }
    records.push([data.toString('latin1', space + 1, equals), data.toString('latin1', equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** The data of an extended header with `records`. */
export function encodePax(records: PaxRecords): Buffer {
  const lines = [...records].map(([key, value]) => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length;
    while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
    return `${length}${rest}`;
  });
  return Buffer.from(lines.join(''), 'latin1');
}
