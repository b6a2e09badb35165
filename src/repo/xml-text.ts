const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

/** The text that an XML attribute or element holds, its entities expanded. */
export function decodeXml(text: string): string {
  if (!text.includes('&')) return text;
  return text.replace(
    /&(?:#x([0-9A-Fa-f]+)|#(\d+)|(\w+));/g,
    (whole, hex?: string, decimal?: string, name?: string) => {
      if (name !== undefined) return ENTITIES[name] ?? whole;
      const code = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
      return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole;
    },
  );
}

/** `text` as an XML attribute or element holds it. */
export function encodeXml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => {
    const name = Object.keys(ENTITIES).find((entity) => ENTITIES[entity] === character);
    return `&${name ?? 'amp'};`;
  });
}

/** The attributes of a tag, given its text. */
export function attributesOf(tag: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const [, name = '', double, single] of tag.matchAll(/([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g))
    found.set(name, decodeXml(double ?? single ?? ''));
  return found;
}

/** One attribute of a tag, given its text, or undefined: what all programs write is found without looking at the others. */
export function attributeOf(tag: string | undefined, name: string): string | undefined {
  if (tag === undefined) return undefined;
  const start = tag.includes("'") ? -1 : tag.indexOf(` ${name}="`);
  if (start < 0) return attributesOf(tag).get(name);
  const from = start + name.length + 3;
  const end = tag.indexOf('"', from);
  return end < 0 ? undefined : decodeXml(tag.slice(from, end));
}

/** The attributes of the first element `name` in `xml`, or undefined. */
export function elementAttributes(xml: string, name: string): ReadonlyMap<string, string> | undefined {
  const tag = new RegExp(`<${name}(\\s[^>]*)?/?>`).exec(xml);
  return tag === null ? undefined : attributesOf(tag[1] ?? '');
}

/** The text of the first element `name` in `xml`, or undefined. */
export function elementText(xml: string, name: string): string | undefined {
  const found = new RegExp(`<${name}(?:\\s[^>]*)?>([^<]*)</${name}>`).exec(xml);
  return found === null ? undefined : decodeXml((found[1] ?? '').trim());
}
