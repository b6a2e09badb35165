import type { Mode, Release } from './rule.js';
import { disk, nfsPath, url } from './value.js';
import { LATE_STAGE, stages } from './xcp-ng.js';
import type { AnswerElement, Place } from './xml.js';

/** What the rules between elements need besides the element. */
export interface Surroundings {
  readonly root: AnswerElement;
  readonly mode: Mode;
  readonly release: Release;
  /** Whether the install tree's metadata is signed; undefined: not known. */
  readonly signed: boolean | undefined;
  readonly report: (place: Place, message: string) => void;
  /** Whether `value` is a sample's, which says nothing about what nodes will have. */
  readonly isSample: (value: string) => boolean;
}

/** What one element's values ask of each other, by element. */
export const relations: Readonly<Record<string, (element: AnswerElement, around: Surroundings) => void>> = {
  source: checkMedia,
  'driver-source': checkMedia,
  script(element, around) {
    checkScript(element, around);
    const stage = attribute(element, 'stage')?.toLowerCase();
    if (stage === LATE_STAGE && around.release === 'xcp-ng-8') {
      around.report(
        placeOf(element, 'stage'),
        `<script> stage="${stage}" runs with XenServer's installer only; take one of ${stages.join(', ')}`,
      );
    }
  },
  'post-install-script': checkScript,
  'install-failed-script': checkScript,
  'fcoe-interface': checkNamed,
  'admin-interface': checkInterface,
  'primary-disk': checkPrimaryDisk,
  raid(element, { report }) {
    const disks = element.children.filter(({ name }) => name === 'disk').length;
    if (disks === 1) report(element.place, '<raid> has one <disk>; write two or more');
  },
  'root-password'(element, around) {
    const { text, textPlace } = element;
    const hashed = attribute(element, 'type') === 'hash';
    const looksHashed = /^\$[0-9a-z]+\$/.test(text);
    if (around.isSample(text)) return;
    if (!hashed && looksHashed) {
      around.report(textPlace, '<root-password> holds a hash; write type="hash", or it becomes the password');
    }
    if (hashed && !looksHashed && !/^[!*]+$/.test(text)) {
      around.report(
        textPlace,
        '<root-password type="hash"> holds no hash; make one with: openssl passwd -6, or write type="plaintext"',
      );
    }
  },
  'ntp-server'(element, { root, report }) {
    const ntp = root.children.find(({ name }) => name === 'ntp');
    const source = ntp === undefined ? 'manual' : attribute(ntp, 'source');
    if (source !== undefined && source !== 'manual') {
      report(
        element.place,
        `<${element.name}> only counts with <ntp source="manual"/>, and here it is "${source}"`,
      );
    }
  },
  service(element, { root, report }) {
    const name = attribute(element, 'name');
    const same = root.children.filter(
      (other) => other.name === 'service' && attribute(other, 'name') === name,
    );
    if (same[0] !== element) report(element.place, `<service name="${name ?? ''}"> is there twice; keep one`);
  },
};

/** What the whole file asks for. */
export function checkRoot({ root, mode, signed, report }: Surroundings): void {
  if (root.name === 'upgrade' && mode !== 'upgrade') {
    report(
      root.place,
      '<upgrade> without mode="upgrade" wipes the disk, as a fresh installation does; write mode="upgrade"',
    );
  }
  if (root.name === 'restore') return;
  const checked = [root, ...root.children.filter(({ name }) => name === 'source')];
  for (const element of signed === true ? checked : []) {
    if (/^(?:no|false)$/i.test(attribute(element, 'repo-gpgcheck') ?? '')) {
      report(
        placeOf(element, 'repo-gpgcheck'),
        `<${element.name}> repo-gpgcheck is off, and the install tree is signed; leave it out`,
      );
    }
  }
}

function checkMedia(element: AnswerElement, around: Surroundings): void {
  const { text, textPlace } = element;
  if (around.isSample(text)) return;
  const type = attribute(element, 'type');
  if (type === 'url' && !url.accepts(text)) {
    around.report(textPlace, `<${element.name} type="url"> ${quoted(text)} is not ${url.wants}`);
  } else if (type === 'url' && around.release === 'xcp-ng-8' && /^https?:\/\/[^/]*@[^/]*:\d/.test(text)) {
    around.report(
      textPlace,
      `<${element.name}> with a user name and a port: this installer then sends no password; use the default port`,
    );
  } else if (type === 'nfs' && !nfsPath.accepts(text)) {
    around.report(textPlace, `<${element.name} type="nfs"> ${quoted(text)} is not ${nfsPath.wants}`);
  }
}

function checkScript(element: AnswerElement, around: Surroundings): void {
  const { text, textPlace } = element;
  if (around.isSample(text)) return;
  const rule = attribute(element, 'type') === 'nfs' ? nfsPath : url;
  if (!rule.accepts(text)) {
    around.report(textPlace, `<${element.name}> ${quoted(text)} is not ${rule.wants}`);
  }
}

function checkNamed(element: AnswerElement, { report }: Surroundings): void {
  const named = ['name', 'hwaddr'].filter((name) => attribute(element, name) !== undefined);
  if (named.length === 0) report(element.place, `<${element.name}> needs a name or a hwaddr`);
  if (named.length === 2)
    report(placeOf(element, 'hwaddr'), `<${element.name}> has a name and a hwaddr; keep one`);
}

function checkInterface(element: AnswerElement, around: Surroundings): void {
  checkNamed(element, around);
  const proto = attribute(element, 'proto');
  const protov6 = attribute(element, 'protov6') ?? 'none';
  const needed = [
    ...(proto === 'static' ? [['ip', 'ipaddr'], ['subnet-mask', 'subnet'], ['gateway']] : []),
    ...(protov6 === 'static' ? [['ipv6'], ['gatewayv6']] : []),
  ];
  for (const names of needed) {
    if (!element.children.some(({ name }) => names.includes(name))) {
      around.report(element.place, `<admin-interface> with a static address needs <${names[0] ?? ''}> in it`);
    }
  }
  if (proto === 'none' && protov6 === 'none') {
    around.report(
      placeOf(element, 'proto'),
      '<admin-interface> has neither IPv4 nor IPv6; write proto="dhcp", proto="static" or a protov6',
    );
  }
}

function checkPrimaryDisk(element: AnswerElement, around: Surroundings): void {
  const { text, textPlace } = element;
  if (around.isSample(text)) return;
  if (/^(?:yes|true)$/i.test(attribute(element, 'swraid') ?? '')) {
    const disks = text.split(',');
    const good =
      disks.length === 2 &&
      disks.every((name) => disk.accepts(name)) &&
      disks.filter((name) => name === 'missing').length < 2;
    if (!good) {
      around.report(
        textPlace,
        `<primary-disk swraid> ${quoted(text)} is not two disks as sda,sdb, of which one may be missing`,
      );
    }
  } else if (!disk.accepts(text)) {
    around.report(textPlace, `<primary-disk> ${quoted(text)} is not ${disk.wants}`);
  }
}

/** The value of an attribute; an empty one counts as absent, as it does for the installers. */
export function attribute(element: AnswerElement, name: string): string | undefined {
  const value = element.attributes.find((candidate) => candidate.name === name)?.value;
  return value === '' ? undefined : value;
}

/** Where the attribute stands; the element's place without it. */
function placeOf(element: AnswerElement, name: string): Place {
  return element.attributes.find((candidate) => candidate.name === name)?.place ?? element.place;
}

/** `text` for a message. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}
