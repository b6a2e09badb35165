const types: Readonly<Record<string, string>> = {
  cfg: 'text/plain; charset=utf-8',
  efi: 'application/efi',
  gz: 'application/gzip',
  html: 'text/html; charset=utf-8',
  iso: 'application/x-iso9660-image',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  json: 'application/json',
  svg: 'image/svg+xml',
  treeinfo: 'text/plain; charset=utf-8',
  txt: 'text/plain; charset=utf-8',
  xml: 'application/xml',
};

/** The content type of a file by its name's ending; installers and loaders read none of them, browsers do. */
export function contentTypeOf(path: string): string {
  return types[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
}
