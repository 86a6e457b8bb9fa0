/**
 * Builds the files for applications: `node build.ts [FOLDER]`, by default into src/wherry/static.
 */

import { build } from 'vite'
import beside from './vite.beside.config.ts'
import core from './vite.core.config.ts'

const outDir = process.argv[2]
for (const config of [core, ...beside]) {
  await build({
    ...config,
    configFile: false,
    build: { ...config.build, ...(outDir ? { outDir } : null) },
  })
}
