/*
 * Wherry's uploader for Uppy 0.1.0.dev0. MIT licence.
 *
 * Put it beside chunkedUploadApi.js, which it imports. It needs @uppy/core 6.
 *
 *   import Wherry from './api/uppyWherry'
 *   uppy.use(Wherry, { endpoint: '/api' })
 *
 * It is made from TypeScript; change it there (web/ in the repository), not here.
 */
import { BasePlugin } from "@uppy/core";
import { UploadFailure, createUpload, leave } from "./chunkedUploadApi.js";
// src/uppy/uppyWherry.ts
/**
 * An uploader for Uppy: files that Uppy has gathered go to Wherry.
 *
 *     import Wherry from './api/uppyWherry'
 *     uppy.use(Wherry, { endpoint: '/api' })
 *     uppy.on('upload-success', (file, { body }) => show(body.assessment_id))
 *
 * Rule 1: at most `limit` files are under way at once. Those that are paused do not count.
 *
 * Rule 2: a file that is removed from Uppy is cancelled on the server too, unless it has arrived.
 */
/** How many files are under way at once if nothing else is said: a browser has six connections. */
var LIMIT = 3;
var Wherry = class extends BasePlugin {
	constructor(uppy, options = {}) {
		super(uppy, options);
		this.jobs = /* @__PURE__ */ new Map();
		this.upload = async (ids) => {
			const files = this.uppy.getFilesByIds(ids).filter((file) => !file.error);
			const begun = files.filter((file) => !file.progress.uploadStarted || !file.isRestored);
			this.uppy.emit("upload-start", begun);
			await Promise.all(files.map((file) => this.add(file)));
		};
		this.onPause = (file, isPaused) => {
			const job = file && this.jobs.get(file.id);
			if (job) this.pause(job, isPaused);
		};
		this.onPauseAll = () => {
			for (const job of this.jobs.values()) this.pause(job, true);
		};
		this.onResumeAll = () => {
			for (const job of this.jobs.values()) this.pause(job, false);
		};
		this.onRemoved = ({ id }) => {
			const job = this.jobs.get(id);
			if (!job) return;
			this.jobs.delete(id);
			job.upload?.cancel().catch(() => void 0);
			job.end();
			this.beginNext();
		};
		this.type = "uploader";
		this.id = options.id ?? "Wherry";
	}
	install() {
		this.setResumable(true);
		this.uppy.addUploader(this.upload);
		this.uppy.on("upload-pause", this.onPause);
		this.uppy.on("pause-all", this.onPauseAll);
		this.uppy.on("resume-all", this.onResumeAll);
		this.uppy.on("file-removed", this.onRemoved);
	}
	uninstall() {
		this.setResumable(false);
		this.uppy.removeUploader(this.upload);
		this.uppy.off("upload-pause", this.onPause);
		this.uppy.off("pause-all", this.onPauseAll);
		this.uppy.off("resume-all", this.onResumeAll);
		this.uppy.off("file-removed", this.onRemoved);
		for (const job of this.jobs.values()) {
			if (job.upload) leave(job.upload);
			job.end();
		}
		this.jobs.clear();
	}
	setResumable(resumableUploads) {
		const { capabilities } = this.uppy.getState();
		this.uppy.setState({ capabilities: {
			...capabilities,
			resumableUploads
		} });
	}
	/** Resolves when the file has arrived, has failed, or was removed. */
	add({ id, isPaused = false }) {
		return new Promise((end) => {
			this.jobs.set(id, {
				id,
				upload: null,
				isPaused,
				end
			});
			this.beginNext();
		});
	}
	beginNext() {
		const jobs = [...this.jobs.values()].filter((job) => !job.isPaused);
		const waiting = jobs.filter((job) => job.upload === null);
		const places = (this.opts.limit ?? LIMIT) - (jobs.length - waiting.length);
		for (const job of waiting.slice(0, Math.max(places, 0))) this.run(job);
	}
	async run(job) {
		const { id } = job;
		try {
			job.upload = this.uploadOf(this.uppy.getFile(id));
			const body = await job.upload.start();
			if (this.isIn(job)) this.uppy.emit("upload-success", this.uppy.getFile(id), {
				status: 200,
				body
			});
		} catch (error) {
			if (this.isIn(job)) this.fail(id, error);
		}
		if (this.isIn(job)) this.jobs.delete(id);
		job.end();
		this.beginNext();
	}
	uploadOf(file) {
		const { limit: _, allowedMetaFields, id: __, locale: ___, ...options } = this.opts;
		if (file.isRemote) throw new Error("Wherry uploads files of this device only, not those of Companion.");
		return createUpload(asFile(file), {
			...options,
			filename: file.name,
			contentType: file.type,
			metadata: metadataOf(file.meta, allowedMetaFields ?? true),
			onProgress: (_percent, { bytesSent, bytesTotal }) => {
				const now = this.jobs.has(file.id) ? this.uppy.getFile(file.id) : void 0;
				if (!now) return;
				const uploadStarted = now.progress.uploadStarted ?? Date.now();
				this.uppy.emit("upload-progress", now, {
					uploadStarted,
					bytesUploaded: bytesSent,
					bytesTotal
				});
			}
		});
	}
	fail(id, thrown) {
		const error = thrown instanceof Error ? thrown : new Error(String(thrown));
		const file = this.uppy.getFile(id);
		const said = error instanceof UploadFailure ? {
			status: error.status ?? 0,
			body: error.facts
		} : void 0;
		this.uppy.emit("upload-error", file, error, said);
	}
	isIn(job) {
		return this.jobs.get(job.id) === job;
	}
	pause(job, isPaused) {
		job.isPaused = isPaused;
		if (isPaused) job.upload?.pause();
		else job.upload?.resume();
		this.beginNext();
	}
};
/** A picture from the camera or an editor is a blob, and has no time of its own. */
function asFile({ data, name, type }) {
	if (data instanceof File) return data;
	if (!data) throw new Error("The file has no content.");
	return new File([data], name ?? "", { type: type ?? data.type });
}
/** What the server takes is text. */
function metadataOf(meta, allowed) {
	const has = ([name, value]) => value != null && (allowed === true ? !["name", "type"].includes(name) : allowed.includes(name));
	return Object.fromEntries(Object.entries(meta).filter(has).map(([name, value]) => [name, String(value)]));
}
export { Wherry as default };
