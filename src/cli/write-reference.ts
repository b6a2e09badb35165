import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { packageRoot } from '../site/assets.js';
import { commandReference } from './reference.js';

writeFileSync(path.join(packageRoot(), 'docs/commands.md'), await commandReference());
