/** The operator's view in Arabic. */

import { counting } from './counting'
import type { OperatorMessages } from './operatorEn'

const { count } = counting('ar-u-nu-latn')

const owners = (n: number) =>
  count(n, { one: 'مالك واحد', two: 'مالكان', few: '# مالكين', many: '# مالكًا', other: '# مالك' })
const items = (n: number) =>
  count(n, { one: 'عنصر واحد', two: 'عنصرين', few: '# عناصر', many: '# عنصرًا', other: '# عنصر' })
const uploads = (n: number) =>
  count(n, { one: 'عملية رفع واحدة', two: 'عمليتا رفع', few: '# عمليات رفع', many: '# عملية رفع', other: '# عملية رفع' })

export const operatorAr: OperatorMessages = {
  title: 'عرض المشغّل',
  documentTitle: 'عرض المشغّل · Wherry',
  refused: 'هذا العرض للمشغّلين.',
  refusedNext: 'ليس لمفتاحك أو لتسجيل دخولك حقوق المشغّل. لا يُعرض شيء، ولا تتأثر عمليات رفعك.',
  old: 'ما تراه قديم.',
  oldNext: 'يعيد هذا العرض المحاولة تلقائيًا.',
  updated: (time, version) => `آخر تحديث: ${time}. ‏Wherry ‎${version}.`,

  now: 'الخادم الآن',
  open: 'عمليات الرفع المفتوحة',
  queue: 'الطابور',
  empty: 'فارغ',
  first: (n, time) => `${uploads(n)}، تنتظر الأولى منذ ${time}`,
  speed: 'السرعة',
  notKnown: 'غير معروفة بعد',
  storage: 'التخزين',
  space: (used, reserved) => `مستخدم ${used}، محجوز ${reserved}`,
  free: (free, total) => `متاح ${free} من ${total}`,
  assessments: 'التقييمات',
  assessed: (running, queued, failed) => `جارية: ${running}، منتظرة: ${queued}، فاشلة: ${failed}`,
  share: (percent) => `${percent} بالمئة من التخزين مستخدمة أو محجوزة`,

  inFlight: 'عمليات رفع جارية',
  noneInFlight: 'لا يُرفع شيء.',
  noneQueued: 'لا تنتظر أي عملية رفع.',
  ended: 'انتهت دون ملف',
  noneEnded: 'انتهت كل عملية رفع بملفها.',
  paths: 'حدود المسارات',
  noPath: 'لا يُعرف شيء عن أي مسار بعد.',
  notShown: (n) => `لا تُعرض ${n} غيرها.`,
  file: 'الملف',
  owner: 'المالك',
  state: 'الحالة',
  safe: 'المحفوظ',
  lastByte: 'آخر بايت',
  position: 'الموضع',
  size: 'الحجم',
  since: 'ينتظر منذ',
  reason: 'السبب',
  begun: 'البداية',
  host: 'المضيف',
  passes: 'يمر',
  refuses: 'يُرفض',
  by: 'الرافض',
  reports: 'البلاغات',
  reported: (n, isConfirmed) => (isConfirmed ? `${owners(n)}، مؤكد` : `${owners(n)}، غير مؤكد`),
  ago: (time) => `منذ ${time}`,
  states: {
    waiting: 'ينتظر',
    receiving: 'يستقبل',
    completing: 'يجري الإكمال',
    complete: 'مكتمل',
    cancelled: 'أُلغي',
    expired: 'انتهت صلاحيته',
    failed: 'رُفض',
  },

  endedAs: (state) => `انتهى: ${state}.`,
  timeline: 'التسلسل الزمني',
  events: {
    begun: 'بدأ',
    queued: 'في الطابور',
    admitted: 'قُبل',
    lastByte: 'وصل أحدث بايت',
    complete: 'اكتمل',
    deleted: 'حُذف الملف',
    keptUntil: 'يُحتفظ به حتى هنا إن لم يصل المزيد',
  },
  copy: 'نسخ التشخيص',
  copied: 'نُسخ التشخيص.',
  notCopied: 'لا يسمح هذا المتصفح بالنسخ. النص أدناه.',
  diagnostics: 'التشخيص',
  cancel: 'إلغاء الرفع',
  cancelThis: (size) => `هل تريد إلغاء هذا الرفع وحذف ما وصل (${size})؟`,
  keep: 'الاحتفاظ به',
  wasCancelled: (name) => `أُلغي رفع ${name}.`,
  notCancelled: (why) => `لم يُلغَ الرفع. ${why}`,
  unreachable: 'تعذر الوصول إلى الخادم. حاول مرة أخرى.',

  find: 'البحث عن عملية رفع',
  id: 'معرّف الرفع',
  search: 'بحث',
  notFound: 'لا توجد عملية رفع بهذا المعرّف.',

  sweep: 'التنظيف',
  sweepAbout:
    'يحذف عمليات الرفع المنتهية صلاحيتها، والملفات التي حُفظت مدة كافية، وما خلّفته الأعطال. يفعل الخادم ذلك تلقائيًا كل دقيقة.',
  sweepNow: 'التنظيف الآن',
  sweepThis: (n, size) => `هل تريد حذف ${items(n)} وتحرير ${size}؟`,
  sweepNothing: 'لا يوجد ما يُنظَّف.',
  keepAll: 'عدم الحذف',
  swept: (n, size) => `حُذف ${items(n)}، وحُرر ${size}.`,
}
