/** A JSON object of a Redfish answer. */
export type Body = Readonly<Record<string, unknown>>;

/** `value` as an object, {} for anything else. */
export function objectOf(value: unknown): Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Body) : {};
}

/** What lies at `path` in `value`. */
export function at(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (Object.hasOwn(objectOf(inner), key) ? objectOf(inner)[key] : undefined),
    value,
  );
}

/** The text at `path`, undefined where there is none. */
export function textAt(value: unknown, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

/** The list at `path`, [] where there is none. */
export function listAt(value: unknown, ...path: readonly string[]): readonly unknown[] {
  const found = at(value, ...path);
  return Array.isArray(found) ? found : [];
}

/** The texts in the list at `path`; undefined where there is no list. */
export function textsAt(value: unknown, ...path: readonly string[]): readonly string[] | undefined {
  const found = at(value, ...path);
  if (!Array.isArray(found)) return undefined;
  return found.filter((item): item is string => typeof item === 'string');
}

/** The path of the resource that the reference at `path` leads to; undefined for one that leads to another host. */
export function linkAt(value: unknown, ...path: readonly string[]): string | undefined {
  return localPath(textAt(value, ...path, '@odata.id'));
}

/** The paths of the members of a collection. */
export function membersOf(collection: unknown): readonly string[] {
  return listAt(collection, 'Members').flatMap((member) => linkAt(member) ?? []);
}

/** The path in a URI that a BMC hands out: it may be absolute (RFC 9110 §10.2.2), and only ever leads back to the BMC. */
export function localPath(uri: string | undefined): string | undefined {
  if (uri === undefined || !URL.canParse(uri, 'https://bmc')) return undefined;
  const { pathname, search } = new URL(uri, 'https://bmc');
  return pathname + search;
}

/** What a Redfish error says (DSP0266 §8.6, extended information), on one line. */
export function complaintOf(body: unknown): string | undefined {
  const messages = listAt(body, 'error', '@Message.ExtendedInfo').flatMap(
    (each) => textAt(each, 'Message') ?? [],
  );
  const text = messages.length > 0 ? messages.join(' ') : textAt(body, 'error', 'message');
  return text?.replace(/[\x00-\x1f\x7f]+/g, ' ').slice(0, 300);
}

/** The ids of the messages of a Redfish error, without their registry: `PropertyMissing`. */
export function messageIds(body: unknown): readonly string[] {
  return listAt(body, 'error', '@Message.ExtendedInfo').flatMap(
    (each) => textAt(each, 'MessageId')?.split('.').at(-1) ?? [],
  );
}
