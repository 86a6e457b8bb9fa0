import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'core',
          include: ['src/core/**/*.test.ts'],
          environment: 'node',
          testTimeout: 60_000, // The default of 5 s is too short on a busy machine.
        },
      },
      {
        extends: true,
        test: {
          name: 'page',
          include: ['src/{react,page}/**/*.test.{ts,tsx}'],
          environment: 'happy-dom',
          testTimeout: 60_000,
        },
      },
    ],
  },
})
