/** The operator's view in German. */

import { counting } from './counting'
import type { OperatorMessages } from './operatorEn'

const { count } = counting('de')

const owners = (n: number) => count(n, { one: '# Besitzer', other: '# Besitzer' })
const items = (n: number) => count(n, { one: '# Eintrag', other: '# Einträge' })

export const operatorDe: OperatorMessages = {
  title: 'Ansicht des Betreibers',
  documentTitle: 'Ansicht des Betreibers · Wherry',
  refused: 'Diese Ansicht ist für Betreiber.',
  refusedNext:
    'Ihr Schlüssel oder Ihre Anmeldung hat nicht die Rechte eines Betreibers. Es wird nichts gezeigt, und Ihre Uploads sind nicht betroffen.',
  old: 'Was Sie sehen, ist veraltet.',
  oldNext: 'Diese Ansicht versucht es von selbst erneut.',
  updated: (time, version) => `Stand: ${time}. Wherry ${version}.`,

  now: 'Der Server jetzt',
  open: 'Offene Uploads',
  queue: 'Warteschlange',
  empty: 'leer',
  first: (n, time) => `${count(n, { one: '# Upload', other: '# Uploads' })}, der erste seit ${time}`,
  speed: 'Geschwindigkeit',
  notKnown: 'noch nicht bekannt',
  storage: 'Speicher',
  space: (used, reserved) => `${used} belegt, ${reserved} reserviert`,
  free: (free, total) => `${free} von ${total} frei`,
  assessments: 'Prüfungen',
  assessed: (running, queued, failed) =>
    `${running} laufen, ${queued} warten, ${failed} gescheitert`,
  share: (percent) => `${percent} Prozent des Speichers belegt oder reserviert`,

  inFlight: 'Laufende Uploads',
  noneInFlight: 'Es wird nichts hochgeladen.',
  noneQueued: 'Kein Upload wartet.',
  ended: 'Ohne Datei beendet',
  noneEnded: 'Jeder Upload wurde mit seiner Datei beendet.',
  paths: 'Grenzen der Wege',
  noPath: 'Noch ist über keinen Weg etwas bekannt.',
  notShown: (n) => `${n} weitere werden nicht gezeigt.`,
  file: 'Datei',
  owner: 'Besitzer',
  state: 'Zustand',
  safe: 'Gesichert',
  lastByte: 'Letztes Byte',
  position: 'Platz',
  size: 'Größe',
  since: 'Wartet seit',
  reason: 'Grund',
  begun: 'Begonnen',
  host: 'Host',
  passes: 'Kommt durch',
  refuses: 'Abgelehnt',
  by: 'Abgelehnt von',
  reports: 'Meldungen',
  reported: (n, isConfirmed) =>
    isConfirmed ? `${owners(n)}, bestätigt` : `${owners(n)}, nicht bestätigt`,
  ago: (time) => `vor: ${time}`,
  states: {
    waiting: 'wartet',
    receiving: 'empfängt',
    completing: 'wird beendet',
    complete: 'vollständig',
    cancelled: 'abgebrochen',
    expired: 'abgelaufen',
    failed: 'abgelehnt',
  },

  endedAs: (state) => `Beendet: ${state}.`,
  timeline: 'Verlauf',
  events: {
    begun: 'Begonnen',
    queued: 'In der Warteschlange',
    admitted: 'Zugelassen',
    lastByte: 'Neuestes Byte angekommen',
    complete: 'Vollständig',
    deleted: 'Datei gelöscht',
    keptUntil: 'Bis hierhin aufbewahrt, wenn nichts mehr kommt',
  },
  copy: 'Diagnose kopieren',
  copied: 'Die Diagnose wurde kopiert.',
  notCopied: 'Dieser Browser erlaubt das Kopieren nicht. Der Text steht unten.',
  diagnostics: 'Diagnose',
  cancel: 'Upload abbrechen',
  cancelThis: (size) => `Diesen Upload abbrechen und löschen, was angekommen ist (${size})?`,
  keep: 'Behalten',
  wasCancelled: (name) => `Der Upload von ${name} wurde abgebrochen.`,
  notCancelled: (why) => `Der Upload wurde nicht abgebrochen. ${why}`,
  unreachable: 'Der Server ist nicht erreichbar. Versuchen Sie es noch einmal.',

  find: 'Einen Upload finden',
  id: 'Kennung des Uploads',
  search: 'Finden',
  notFound: 'Es gibt keinen Upload mit dieser Kennung.',

  sweep: 'Aufräumen',
  sweepAbout:
    'Löscht abgelaufene Uploads, Dateien, die lange genug aufbewahrt wurden, und was Abstürze hinterlassen haben. Der Server tut das jede Minute von selbst.',
  sweepNow: 'Jetzt aufräumen',
  sweepThis: (n, size) => `${items(n)} löschen und ${size} freigeben?`,
  sweepNothing: 'Es gibt nichts aufzuräumen.',
  keepAll: 'Nichts löschen',
  swept: (n, size) => `${items(n)} gelöscht, ${size} freigegeben.`,
}
