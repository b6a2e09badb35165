import { parseXml, XmlCdata, XmlElement, XmlError, XmlText, type XmlNode } from '@rgrove/parse-xml';

/** A place in a text: both from 1, the column in characters. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** An attribute, and where its name stands. */
export interface AnswerAttribute {
  readonly name: string;
  readonly value: string;
  readonly place: Place;
}

/** An element as installers read it: its own text is what its direct text nodes hold, without white space around it. */
export interface AnswerElement {
  readonly name: string;
  readonly place: Place; // of its `<`
  readonly attributes: readonly AnswerAttribute[];
  readonly children: readonly AnswerElement[];
  readonly text: string;
  readonly textPlace: Place; // where that text begins; the element's when there is none
  readonly cdata: Place | undefined; // of its first CDATA section
}

/** What is wrong, and where. */
export interface Problem {
  readonly place: Place;
  readonly message: string;
}

/** The root element of `text`, or what keeps it from being XML (XML 1.0, fifth edition, without entities of its own). */
export function readXml(text: string): AnswerElement | Problem {
  const source = text.replace(/\r\n?/g, '\n');
  try {
    const { root } = parseXml(source, { includeOffsets: true, preserveCdata: true });
    if (root === null) return { place: { line: 1, column: 1 }, message: 'it holds no element' };
    return elementOf(root, source);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    const [what = ''] = error.message.split('\n');
    return {
      place: { line: error.line, column: error.column },
      message: what
        .replace(/ \(line \d+, column \d+\)$/, '')
        .replace(/^(\S)/, (first) => first.toLowerCase()),
    };
  }
}

/** Whether `readXml` gave a problem. */
export function isProblem(read: AnswerElement | Problem): read is Problem {
  return 'message' in read;
}

function elementOf(element: XmlElement, source: string): AnswerElement {
  const children: AnswerElement[] = [];
  let text = '';
  let textPlace: Place | undefined;
  let cdata: Place | undefined;
  for (const node of element.children) {
    if (node instanceof XmlElement) children.push(elementOf(node, source));
    else if (node instanceof XmlCdata) cdata ??= placeOf(node, source);
    else if (node instanceof XmlText) {
      text += node.text;
      if (node.text.trim() !== '') textPlace ??= placeOf(node, source, node.text.search(/\S/));
    }
  }
  const place = placeOf(element, source);
  return {
    name: element.name,
    place,
    attributes: attributesOf(element, source),
    children,
    text: text.trim(),
    textPlace: textPlace ?? place,
    cdata,
  };
}

/** The attributes of `element`, found again in its start tag, as the parser does not keep where they stood. */
function attributesOf(element: XmlElement, source: string): AnswerAttribute[] {
  const tag = source.slice(element.start, element.end);
  const pattern = /\s+([^\s=/>]+)\s*=\s*(?:"[^"]*"|'[^']*')/y;
  pattern.lastIndex = 1 + element.name.length;
  const found: AnswerAttribute[] = [];
  for (let match = pattern.exec(tag); match !== null; match = pattern.exec(tag)) {
    const [whole, name = ''] = match;
    const value = element.attributes[name] ?? '';
    found.push({ name, value, place: placeOf(element, source, match.index + whole.search(/\S/)) });
  }
  return found;
}

/** Where `node` begins, `skip` UTF-16 units in; the parser’s offsets are such units, too. */
function placeOf(node: XmlNode, source: string, skip = 0): Place {
  const before = source.slice(0, node.start + skip);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { line: before.split('\n').length, column: [...before.slice(lineStart)].length + 1 };
}
