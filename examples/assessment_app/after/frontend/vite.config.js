import { defineConfig, transformWithOxc } from 'vite';

/** JSX is in .js files here, and Vite expects it in .jsx files. */
const jsxInJs = {
  name: 'jsx-in-js',
  enforce: 'pre',
  transform: {
    filter: { id: /\/src\/.*\.js$/ },
    handler: (code, id) => transformWithOxc(code, id, { lang: 'jsx' }),
  },
};

export default defineConfig({
  plugins: [jsxInJs],
  optimizeDeps: { rolldownOptions: { moduleTypes: { '.js': 'jsx' } } },
  server: { port: 3000, proxy: { '/api': 'http://127.0.0.1:8001' } },
  preview: { port: 3000, strictPort: true, allowedHosts: true },
});
