import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { renderAnswer } from '../../src/answer/render.js';
import { checkTemplate } from '../../src/osimage/templates.js';
import { packageRoot } from '../../src/site/assets.js';
import { sampleVariables } from '../../src/template/variables.js';

const configs = join(packageRoot(), 'configs');
const bare = { ...sampleVariables(), node: { name: 'n1', macs: [], groups: [], attributes: {} } };

for (const layer of readdirSync(configs)) {
  for (const name of ['bootargs', 'xenargs', 'answerfile.liquid']) {
    const path = join(configs, layer, name);
    if (!existsSync(path)) continue;
    const text = readFileSync(path, 'utf8');
    test(`${layer}/${name} renders for a node that has everything and for one that has nothing`, (t) => {
      t.notThrows(() => checkTemplate(text, path, {}));
      const setting = layer.startsWith('xcp-ng') ? ({ release: 'xcp-ng-8' } as const) : undefined;
      const answer = name === 'answerfile.liquid' ? setting : undefined;
      t.regex(renderAnswer(text, path, { ...bare, signed: true }, answer), /\S/);
    });
  }
}

test('the kickstart file installs from the generation’s tree and reports', (t) => {
  const text = readFileSync(join(configs, 'el/answerfile.liquid'), 'utf8');
  const rendered = renderAnswer(text, 'el', { ...sampleVariables({ disk: 'sda' }) }, undefined);
  t.regex(rendered, /^url --url=http:\/\/192\.0\.2\.1:8080\/images\/sample@0+\/tree\/$/m);
  t.regex(rendered, /^network --bootproto=dhcp --device=52:54:00:12:34:56 --hostname=n1$/m);
  t.regex(rendered, /^rootpw --lock\nzerombr\nignoredisk --only-use=sda\nclearpart/m);
  for (const stage of ['installing', 'installed', 'failed']) t.true(rendered.includes(`&stage=${stage}'`));
});
