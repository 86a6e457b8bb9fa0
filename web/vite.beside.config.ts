/** The files that stand beside chunkedUploadApi.js and import it. */

import type { Plugin, UserConfig } from 'vite'
import { stars, version } from './vite.core.config.ts'

interface Beside {
  entry: string
  external: string[]
  about: string
}

const FILES: Beside[] = [
  {
    entry: 'src/react/useUpload.ts',
    external: ['react'],
    about: `
 * Wherry's React hook ${version}. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports. It needs React 18 or newer.
 *
 *   import { useUpload } from './api/useUpload'
 *   const upload = useUpload()
 *   <input type="file" onChange={(event) => upload.start(event.target.files[0])} />
 *   <progress max={100} value={upload.percent} />`,
  },
  {
    entry: 'src/element/wherryUpload.ts',
    external: [],
    about: `
 * Wherry's element <wherry-upload> ${version}. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports.
 *
 *   <script type="module" src="./api/wherryUpload.js"></script>
 *   <wherry-upload name="video" endpoint="/api" accept="video/*" required></wherry-upload>`,
  },
  {
    entry: 'src/uppy/uppyWherry.ts',
    external: ['@uppy/core'],
    about: `
 * Wherry's uploader for Uppy ${version}. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports. It needs @uppy/core 6.
 *
 *   import Wherry from './api/uppyWherry'
 *   uppy.use(Wherry, { endpoint: '/api' })`,
  },
  {
    entry: 'src/element/wherryComponent.ts',
    external: [],
    about: `
 * Wherry's element <wherry-upload> in Streamlit and Gradio ${version}. MIT licence.
 *
 * wherry.streamlit and wherry.gradio serve it, and what it imports.`,
  },
]

/** These stay files of their own: an application has one `defaults` and one set of errors. */
const OURS: Record<string, string> = {
  '../core': './chunkedUploadApi.js',
  './wherryUpload': './wherryUpload.js',
}

const ours: Plugin = {
  name: 'ours',
  enforce: 'pre',
  resolveId(name) {
    const id = OURS[name]
    return id ? { id, external: true } : undefined
  },
}

function configOf(file: Beside): UserConfig {
  const name = file.entry.replace(/.*\/(\w+)\.ts$/, '$1.js')
  const banner = `/*${file.about}
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */`
  return {
    plugins: [ours, stars],
    publicDir: false,
    build: {
      target: 'es2022',
      outDir: '../src/wherry/static',
      emptyOutDir: false,
      minify: false,
      sourcemap: false,
      lib: { entry: file.entry, formats: ['es'], fileName: () => name },
      rollupOptions: { external: file.external, output: { banner } },
    },
  }
}

export default FILES.map(configOf)
