/** A 7-byte date (ECMA-119 §9.1.5) in seconds since the epoch, or null when it is not one. */
export function decodeShortDate(bytes: Buffer): number | null {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = bytes;
  if (month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59) return null;
  const quarters = bytes.readInt8(6);
  return Date.UTC(1900 + year, month - 1, day, hour, minute, second) / 1000 - quarters * 15 * 60;
}

/** A 17-byte date (ECMA-119 §8.4.26.1) in ISO 8601, or null when it is not one. */
export function decodeLongDate(bytes: Buffer): string | null {
  const digits = bytes.toString('latin1', 0, 16);
  const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(digits);
  if (found === null || /^0+$/.test(digits)) return null;
  const [, year, month, day, hour, minute, second, hundredths] = found;
  const quarters = bytes.readInt8(16);
  const sign = quarters < 0 ? '-' : '+';
  const zoneMinutes = Math.abs(quarters) * 15;
  const two = (value: number): string => String(value).padStart(2, '0');
  const zone = quarters === 0 ? 'Z' : `${sign}${two(Math.floor(zoneMinutes / 60))}:${two(zoneMinutes % 60)}`;
  return `${year}-${month}-${day}T${hour}:${minute}:${second}.${hundredths}${zone}`;
}
