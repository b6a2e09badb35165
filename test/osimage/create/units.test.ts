import test from 'ava';
import { pathToText } from '../../../src/image/cpio/path.js';
import type { Edit } from '../../../src/image/edit.js';
import { disableUnit, enableUnit, hasUnit, parseInstall } from '../../../src/osimage/create/units.js';
import { rootImage } from './root-image.js';

const shown = (edits: readonly Edit[]): string[] =>
  edits.map((edit) =>
    edit.op === 'put'
      ? `${pathToText(edit.path)} -> ${edit.target ?? ''}`
      : edit.op === 'delete'
        ? `- ${pathToText(edit.path)}`
        : edit.op,
  );

const LIB = '/usr/lib/systemd/system';
const ETC = '/etc/systemd/system';

test('the section [Install], lists, continued lines, and values that are taken back', (t) => {
  t.deepEqual(
    parseInstall(
      '[Unit]\nWantedBy=no.target\n[Install]\nWantedBy=a.target \\\n  b.target\nAlias=x.service\nAlias=\n# Also=c\nAlso=d.service\nDefaultInstance=tty1\n',
    ),
    {
      wantedBy: ['a.target', 'b.target'],
      requiredBy: [],
      aliases: [],
      also: ['d.service'],
      defaultInstance: 'tty1',
    },
  );
});

// As systemctl(1), "enable", and systemd.unit(5), "[Install] section options", say.
test('a unit is enabled by the links that its [Install] says, with those beside it', async (t) => {
  const image = rootImage({
    [`${LIB}/installer.service`]:
      '[Install]\nWantedBy=multi-user.target\nRequiredBy=boot.target\nAlso=other.service\n',
    [`${LIB}/other.service`]: '[Install]\nAlias=another.service\nAlso=installer.service\n',
  });
  t.deepEqual(shown(await enableUnit(image, 'installer.service')), [
    `${ETC}/multi-user.target.wants/installer.service -> ${LIB}/installer.service`,
    `${ETC}/boot.target.requires/installer.service -> ${LIB}/installer.service`,
    `${ETC}/another.service -> ${LIB}/other.service`,
  ]);
});

test('an instance is a link to its template; the one in /etc counts', async (t) => {
  const image = rootImage({
    [`${LIB}/getty@.service`]: '[Install]\nWantedBy=getty.target\nDefaultInstance=tty1\n',
    [`${ETC}/installer-getty@.service`]: '[Install]\nWantedBy=getty.target\n',
    [`${LIB}/installer-getty@.service`]: '[Install]\nWantedBy=other.target\n',
  });
  t.deepEqual(shown(await enableUnit(image, 'installer-getty@tty2.service')), [
    `${ETC}/getty.target.wants/installer-getty@tty2.service -> ${ETC}/installer-getty@.service`,
  ]);
  t.true(hasUnit(image, 'getty@tty7.service'));
  t.false(hasUnit(image, 'setty@tty7.service'));
  t.deepEqual(shown(await enableUnit(image, 'getty@tty2.service')), [
    `${ETC}/getty.target.wants/getty@tty2.service -> ${LIB}/getty@.service`,
  ]);
});

test('a unit that is not there, or that nothing starts, is refused', async (t) => {
  const image = rootImage({ [`${LIB}/idle.service`]: '[Service]\nExecStart=/bin/true\n' });
  await t.throwsAsync(enableUnit(image, 'installer.service'), {
    code: 'BAD_SOURCE',
    message: /^installer\.service is to be enabled and is not in the image/,
  });
  await t.throwsAsync(enableUnit(image, 'idle.service'), { code: 'BAD_SOURCE', message: /add WantedBy=/ });
});

test('a unit is disabled with its aliases, and a mask stays', async (t) => {
  const image = rootImage(
    {},
    {
      [`${ETC}/multi-user.target.wants/chronyd.service`]: `${LIB}/chronyd.service`,
      [`${ETC}/sysinit.target.requires/chronyd.service`]: '../chronyd.service',
      [`${ETC}/ntpd.service`]: `${LIB}/chronyd.service`,
      [`${ETC}/xenstored.service`]: '/dev/null',
      [`${ETC}/multi-user.target.wants/sshd.service`]: `${LIB}/sshd.service`,
      [`${ETC}/getty.target.wants/getty@tty1.service`]: `${LIB}/getty@.service`,
    },
  );
  t.deepEqual(shown(disableUnit(image, 'chronyd.service')).sort(), [
    `- ${ETC}/multi-user.target.wants/chronyd.service`,
    `- ${ETC}/ntpd.service`,
    `- ${ETC}/sysinit.target.requires/chronyd.service`,
  ]);
  t.deepEqual(disableUnit(image, 'xenstored.service'), []);
  t.deepEqual(shown(disableUnit(image, 'getty@tty1.service')), [
    `- ${ETC}/getty.target.wants/getty@tty1.service`,
  ]);
});
