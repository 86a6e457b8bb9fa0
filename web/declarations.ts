/**
 * Writes the types of the built files beside them: chunkedUploadApi.d.ts and those of what imports it.
 *
 * The first puts together what `src/core/index.ts` exports, from the declarations that tsc made.
 */

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const built = (name: string) =>
  readFileSync(new URL(`dist/${name}.d.ts`, import.meta.url), 'utf8')

/** The declaration of `name`, in one line, with its comment. */
function declaration(name: string, source: string): string {
  const comment = String.raw`(?:/\*\*(?:(?!\*/)[^])*\*/\n)?`
  const found = new RegExp(`${comment}export declare (?:const|function) ${name}\\b.*;\n`).exec(source)
  if (!found) throw new Error(`there is no declaration of ${name}`)
  return found[0]
}

const parts = ["/** The types of Wherry's browser client: keep this file beside chunkedUploadApi.js. */\n"]
for (const line of built('core/index').trim().split('\n')) {
  const [, what, from] = /^export (?:type )?(\*|\{.*\}) from '\.\/(\w+)';$/.exec(line) ?? []
  if (!what || !from) throw new Error(`index.ts exports in a way that is new here: ${line}`)
  const source = built(`core/${from}`)
  if (what === '*') parts.push(source)
  else parts.push(...what.slice(1, -1).split(',').map((name) => declaration(name.trim(), source)))
}

const together = parts.join('')
if (/^import\b/m.test(together)) throw new Error('what everything is exported of imports something')
const folder = process.argv[2] ?? new URL('../src/wherry/static', import.meta.url).pathname
writeFileSync(join(folder, 'chunkedUploadApi.d.ts'), together)

for (const path of ['react/useUpload', 'element/wherryUpload', 'uppy/uppyWherry']) {
  const types = built(path).replaceAll("from '../core'", "from './chunkedUploadApi.js'")
  if (/from '\.\.\//.test(types)) throw new Error(`${path} imports more than the client and its library`)
  writeFileSync(join(folder, `${path.split('/')[1]}.d.ts`), types)
}
