import { capturedRequests } from './captures.js';

/** Numbers below `limit`, the same in every run (mulberry32). */
export function seeded(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
}

/** What a file outside of the published tree would show. */
export const FORBIDDEN = /root:x:0:0|SQLite format 3|BEGIN [A-Z ]*PRIVATE KEY|rackboot-run-key-marker/;

/** Requests of every kind, good and bad, for a site with the node n1 and the generation `id` of d12. */
export function requestSeeds(id: string): string[] {
  const get = (path: string, ...headers: string[]): string =>
    `GET ${path} HTTP/1.1\r\nHost: x\r\n${headers.map((line) => `${line}\r\n`).join('')}\r\n`;
  return [
    get('/'),
    get('/boot.ipxe?mac=52:54:00:00:00:01&uuid=4c4c4544-0042-3510-8054-b4c04f4d3132&serial=x'),
    get('/nodes/n1/boot.ipxe'),
    get('/nodes/n1/grub.cfg?files=tftp'),
    get(`/nodes/n1/answerfile?token=${'A'.repeat(32)}.k3f.0123456789abcdef.${'B'.repeat(22)}`),
    get('/nodes/n1/report?stage=late&detail=x'),
    `POST /nodes/n1/report HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\nstage=late`,
    `POST /nodes/n1/report HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nstage\r\n5\r\n=late\r\n0\r\n\r\n`,
    get(`/images/d12@${id}/files/small`, 'Range: bytes=0-99', 'If-Range: "x"'),
    get(`/images/d12@${id}/files/../../../../../etc/passwd`),
    get(`/images/d12@${id}/tree/%2e%2e/%2e%2e/%2e%2e/etc/passwd`),
    get(`/images/d12@${id}/tree/..%2f..%2f..%2f..%2fetc%2fpasswd`),
    get(`/images/d12@${id}/files//etc/passwd`),
    get('/images/d12/tree/small'),
    get('/loaders/../../../../etc/passwd'),
    get('//etc/passwd'),
    get('/..%5c..%5cetc%5cpasswd'),
    get('/state.db'),
    get('/run.key'),
    get('/api/v1/nodes/n1'),
    get('/api/openapi.json'),
    get('/healthz', 'Expect: 100-continue', 'Upgrade: websocket', 'Connection: upgrade'),
    `PUT /api/v1/nodes/n1/assignment HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 17\r\n\r\n{"target":"boot"}`,
    `HEAD http://x/images/d12@${id}/files/small HTTP/1.0\r\n\r\n`,
    `CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n`,
    ...capturedRequests(`/images/d12@${id}/files/small`),
    ...capturedRequests('/nodes/n1/report'),
    ...capturedRequests('/boot.ipxe?mac=52:54:00:00:00:01'),
  ];
}

const FRAGMENTS = [
  '..',
  '/',
  '%2e%2e',
  '%2f',
  '%00',
  '\0',
  '\r\n',
  '\n',
  ' ',
  '%',
  '\\',
  '?',
  '#',
  ':',
  'bytes=',
  '-',
  ',',
  '"',
  '\xff',
  'Content-Length: 999999\r\n',
  'Range: bytes=-1\r\n',
  'A'.repeat(5000),
  'X: y\r\n'.repeat(150),
  '{{',
  '${',
  "'",
  ';',
];

/** `request` with a few of its characters changed, cut off, added or doubled. */
export function mutateRequest(request: string, random: (limit: number) => number): Buffer {
  let text = request;
  for (let changes = random(4); changes >= 0; changes--) {
    const at = random(text.length + 1);
    const kind = random(5);
    if (kind === 0) text = text.slice(0, at) + text.slice(at + 1 + random(8));
    else if (kind === 1) text = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
    else if (kind === 2)
      text = text.slice(0, at) + (FRAGMENTS[random(FRAGMENTS.length)] ?? '') + text.slice(at);
    else if (kind === 3) text = text.slice(0, at) + text.slice(random(text.length + 1));
    else text += text.slice(at);
  }
  return Buffer.from(text, 'latin1');
}
