import { expect, test } from 'vitest'
import { fromDialog, gather, leftOut } from './folders'
import { fileOf } from '../core/testing/upload'

type Entry = { name: string; isDirectory: boolean; isFile: boolean; fullPath: string }

const file = (name: string, path = `/${name}`, isReadable = true): Entry =>
  ({
    name,
    isDirectory: false,
    isFile: true,
    fullPath: path,
    file: (resolve: (file: File) => void, reject: (error: Error) => void) =>
      isReadable ? resolve(fileOf(name)) : reject(new Error('no')),
  }) as Entry

/** Gives its entries a hundred at a time, as browsers do. */
const folder = (name: string, inside: Entry[], path = `/${name}`): Entry =>
  ({
    name,
    isDirectory: true,
    isFile: false,
    fullPath: path,
    createReader() {
      const left = [...inside]
      return { readEntries: (resolve: (batch: Entry[]) => void) => resolve(left.splice(0, 100)) }
    },
  }) as unknown as Entry

const transfer = (...entries: Entry[]) =>
  ({
    items: entries.map((entry) => ({
      kind: 'file',
      webkitGetAsEntry: () => entry,
      getAsFile: () => fileOf(entry.name),
    })),
  }) as unknown as DataTransfer

test('all files of a folder are taken, in however many batches they come, in order and with their paths', async () => {
  const days = folder(
    'days',
    Array.from({ length: 250 }, (_, n) => file(`${249 - n}.jpg`, `/trip/days/${249 - n}.jpg`)),
    '/trip/days',
  )
  const found = await gather(transfer(folder('trip', [file('map.png', '/trip/map.png'), days]), file('talk.mp4')))
  const paths = found.chosen.map(({ path }) => path)
  expect(paths).toHaveLength(252)
  expect([paths[0], paths[1], paths[250], paths[251]]).toEqual([
    'trip/days/0.jpg',
    'trip/days/1.jpg',
    'trip/map.png',
    'talk.mp4',
  ])
  expect(leftOut(found)).toBeNull()
})

test('what cannot be read and folders without files are named', async () => {
  const found = await gather(
    transfer(
      folder('a', [file('locked', '/a/locked', false), file('open', '/a/open')]),
      folder('b', []),
      folder('c', [folder('d', [], '/c/d')]),
    ),
  )
  expect(found.chosen.map(({ path }) => path)).toEqual(['a/open'])
  expect(leftOut(found)).toBe(
    '“a/locked” could not be read and was skipped. “b” and “c/d” are empty folders.',
  )
})

test('many names are not all said', async () => {
  const found = await gather(transfer(...['a', 'b', 'c', 'd'].map((name) => folder(name, []))))
  expect(leftOut(found)).toBe('“a”, “b” and 2 more are empty folders.')
})

test('text that is dropped is no file', async () => {
  const text = { items: [{ kind: 'string' }] } as unknown as DataTransfer
  expect(leftOut(await gather(text))).toBe('Nothing that you dropped is a file.')
})

test('a folder that is chosen brings the paths of its files, and files come as they were chosen', () => {
  const inside = (path: string) => Object.assign(fileOf(path), { webkitRelativePath: path })
  const paths = (...files: File[]) => fromDialog(files).map(({ path }) => path)
  expect(paths(inside('trip/10.jpg'), inside('trip/9.jpg'))).toEqual(['trip/9.jpg', 'trip/10.jpg'])
  expect(paths(fileOf('b.jpg'), fileOf('a.jpg'))).toEqual(['b.jpg', 'a.jpg'])
})

test('a dropped file brings its handle, if the browser gives one', async () => {
  const handle = { kind: 'file' }
  const given = [async () => handle, async () => ({ kind: 'directory' }), async () => Promise.reject(new Error('no')), undefined]
  const items = given.map((getAsFileSystemHandle) => ({
    kind: 'file',
    getAsFile: () => fileOf('talk.mp4'),
    getAsFileSystemHandle,
  }))
  const { chosen } = await gather({ items } as unknown as DataTransfer)
  expect(await Promise.all(chosen.map((one) => one.handle))).toEqual([handle, null, null, null])
})
