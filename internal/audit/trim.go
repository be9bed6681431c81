package audit

// trim removes the oldest files beyond the bound. The record of the removal is durable before the first file goes: what
// a power cut or a fault leaves in between is files too many, and never a log whose beginning is gone without a word.
func (w *writer) trim() error {
	old, upTo, err := w.beyond()
	if err != nil || len(old) == 0 {
		return err
	}
	if upTo > 0 {
		next, link := w.next, w.link
		w.buf = w.buf[:0]
		w.addEvent(Event{At: w.cfg.Now(), What: Removed, UpTo: upTo})
		if err = w.flush(); err == nil {
			err = w.io.sync(w.file)
		}
		if err != nil {
			w.next, w.link = next, link
			return err
		}
	}
	for _, f := range old {
		if err := w.io.remove(f.path); err != nil {
			return err
		}
	}
	return nil
}

// beyond are the files to remove, oldest first, so that a full present file keeps the bound; upTo is the number of the
// last record in them, zero for none.
func (w *writer) beyond() (old []file, upTo uint64, err error) {
	torn, err := list(w.cfg.Dir, asideName)
	if err != nil {
		return nil, 0, err
	}
	surplus := max(0, len(torn)-keptTorn)
	old, torn = torn[:surplus:surplus], torn[surplus:]
	files, err := list(w.cfg.Dir, logName)
	if err != nil {
		return nil, 0, err
	}
	total := w.fileSize() // of the present file, the last
	for _, f := range append(torn, files[:max(0, len(files)-1)]...) {
		total += f.size
	}
	for ; total > w.cfg.MaxSize && len(files) > 1; files = files[1:] {
		old, total, upTo = append(old, files[0]), total-files[0].size, files[1].first-1
	}
	return old, upTo, nil
}
