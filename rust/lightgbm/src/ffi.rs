//! The calls into LightGBM's C API, and the only `unsafe` of the crate. What leaves this file is safe to use in any order:
//! slices carry their lengths, a predictor keeps its booster, a booster its library.
//!
//! Who guarantees what, once for all `SAFETY:` comments below:
//! - **C API**: `include/LightGBM/c_api.h`, whose signatures are the types in [`Api`]; they are the same from 3.0 to 4.7. A function
//!   returns 0, or -1 and a message in `LGBM_GetLastError`, which is the calling thread's own.
//! - **path**: whoever calls [`Library::open`] names LightGBM's library. Loading runs its initialisers, and a library that merely
//!   has all the names below could do anything: take the path from configuration, never from a request.
//! - **text**: LightGBM follows the indexes of a model without looking, so only `text::check` hands texts to [`Booster::load`].
#![expect(unsafe_code, reason = "a foreign library is called; everything around it is safe code")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::path::Path;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use crate::error::ModelError;

type Handle = *mut c_void;

/// `C_API_DTYPE_FLOAT64`.
const FLOAT64: c_int = 1;
/// From the first iteration to the last: the text holds what is to be used.
const ALL_ITERATIONS: (c_int, c_int) = (0, -1);

macro_rules! api {
    ($($field:ident: $symbol:ident($($type:ty),*) $(-> $answer:ty)?;)*) => {
        /// The functions that are used, by their names in c_api.h.
        struct Api { $($field: unsafe extern "C" fn($($type),*) $(-> $answer)?,)* }

        impl Api {
            fn find(library: &libloading::Library, path: &Path) -> Result<Self, ModelError> {
                Ok(Self { $($field: {
                    const SYMBOL: &str = stringify!($symbol);
                    // SAFETY: "path" and "C API": the symbol has this type. It is used only while the library is loaded, for ever.
                    match unsafe { library.get::<unsafe extern "C" fn($($type),*) $(-> $answer)?>(SYMBOL) } {
                        Ok(function) => *function,
                        Err(_) => return Err(ModelError::Symbol { path: path.to_owned(), symbol: SYMBOL }),
                    }
                },)* })
            }
        }
    };
}

api! {
    last_error: LGBM_GetLastError() -> *const c_char;
    load: LGBM_BoosterLoadModelFromString(*const c_char, *mut c_int, *mut Handle) -> c_int;
    free: LGBM_BoosterFree(Handle) -> c_int;
    classes: LGBM_BoosterGetNumClasses(Handle, *mut c_int) -> c_int;
    features: LGBM_BoosterGetNumFeature(Handle, *mut c_int) -> c_int;
    trees: LGBM_BoosterNumberOfTotalModel(Handle, *mut c_int) -> c_int;
    answer_length: LGBM_BoosterCalcNumPredict(Handle, c_int, c_int, c_int, c_int, *mut i64) -> c_int;
    prepare: LGBM_BoosterPredictForMatSingleRowFastInit(
        Handle, c_int, c_int, c_int, c_int, i32, *const c_char, *mut Handle
    ) -> c_int;
    predict: LGBM_BoosterPredictForMatSingleRowFast(Handle, *const c_void, *mut i64, *mut f64) -> c_int;
    free_prepared: LGBM_FastConfigFree(Handle) -> c_int;
}

/// LightGBM's shared library, loaded. It stays loaded until the process ends, because threads of its own may be about.
pub struct Library {
    api: Api,
}

impl Library {
    /// Loads the `lib_lightgbm` file (`.so`, `.dylib`, `.dll`) at `path`; a second time is cheap, and the same file that Python's
    /// `lightgbm` has loaded is the same library. The file's code is run: the path must come from whoever runs the process.
    ///
    /// # Errors
    /// [`ModelError::Library`] when it cannot be loaded, [`ModelError::Symbol`] when it is not LightGBM or too old.
    pub fn open(path: &Path) -> Result<Arc<Self>, ModelError> {
        // SAFETY: "path".
        let library = unsafe { libloading::Library::new(path) }
            .map_err(|error| ModelError::Library { path: path.to_owned(), message: error.to_string() })?;
        let api = Api::find(&library, path)?;
        // Never unloaded: `api` would dangle, and OpenMP's sleeping threads would wake up in code that is gone.
        std::mem::forget(library);
        Ok(Arc::new(Self { api }))
    }

    /// What a call answered, with LightGBM's own words when it refused.
    fn answered(&self, call: &'static str, code: c_int) -> Result<(), ModelError> {
        if code == 0 {
            return Ok(());
        }
        // SAFETY: "C API": a text that ends in 0 and stays until this thread's next call.
        let message = unsafe { CStr::from_ptr((self.api.last_error)()) };
        Err(ModelError::LightGbm { call, message: message.to_string_lossy().into_owned() })
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Library")
    }
}

/// A model in LightGBM's memory.
pub(crate) struct Booster {
    library: Arc<Library>,
    handle: NonNull<c_void>,
}

// SAFETY: "C API": a booster belongs to no thread. Through a shared reference only its counts are read and predictors prepared,
// which LightGBM guards by the booster's own lock (and which `Model` does on one thread).
unsafe impl Send for Booster {}
// SAFETY: as above.
unsafe impl Sync for Booster {}

impl Booster {
    /// `text` has passed `text::check`.
    pub(crate) fn load(library: Arc<Library>, text: &CStr) -> Result<Arc<Self>, ModelError> {
        let (mut handle, mut iterations) = (ptr::null_mut(), 0);
        // SAFETY: "C API" and "text"; both outputs live until the call is back.
        let code = unsafe { (library.api.load)(text.as_ptr(), &mut iterations, &mut handle) };
        library.answered("LGBM_BoosterLoadModelFromString", code)?;
        let handle = NonNull::new(handle).expect("LightGBM says that it loaded a model");
        Ok(Arc::new(Self { library, handle }))
    }

    pub(crate) fn classes(&self) -> Result<i64, ModelError> {
        self.count("LGBM_BoosterGetNumClasses", self.library.api.classes)
    }

    pub(crate) fn features(&self) -> Result<i64, ModelError> {
        self.count("LGBM_BoosterGetNumFeature", self.library.api.features)
    }

    pub(crate) fn trees(&self) -> Result<i64, ModelError> {
        self.count("LGBM_BoosterNumberOfTotalModel", self.library.api.trees)
    }

    fn count(
        &self,
        call: &'static str,
        function: unsafe extern "C" fn(Handle, *mut c_int) -> c_int,
    ) -> Result<i64, ModelError> {
        let mut count = 0;
        // SAFETY: "C API"; the handle is this booster's, freed only by its drop.
        let code = unsafe { function(self.handle.as_ptr(), &mut count) };
        self.library.answered(call, code)?;
        Ok(i64::from(count))
    }
}

impl Drop for Booster {
    fn drop(&mut self) {
        // SAFETY: "C API"; every predictor holds this booster, so none is left, and nobody else has the handle.
        unsafe { (self.library.api.free)(self.handle.as_ptr()) };
    }
}

/// What is predicted, as c_api.h numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// `C_API_PREDICT_NORMAL`.
    Normal = 0,
    /// `C_API_PREDICT_RAW_SCORE`.
    Raw = 1,
    /// `C_API_PREDICT_CONTRIB`.
    Contributions = 3,
}

/// A booster made ready for one kind of answer to rows of its length.
pub(crate) struct Predictor {
    booster: Arc<Booster>,
    handle: NonNull<c_void>,
    features: usize,
    answer_length: usize,
}

// SAFETY: "C API": a prepared predictor belongs to no thread. It is used through `&mut` only: by one thread at a time.
unsafe impl Send for Predictor {}

impl Predictor {
    /// `parameters` is LightGBM's `key=value key=value`.
    pub(crate) fn prepare(booster: &Arc<Booster>, answer: Answer, parameters: &CStr) -> Result<Self, ModelError> {
        let library = &booster.library;
        let features = i32::try_from(booster.features()?).expect("LightGBM counts in c_int");
        let (first, count) = ALL_ITERATIONS;
        let mut length = 0;
        // SAFETY: "C API"; the handle is the booster's.
        let code = unsafe {
            (library.api.answer_length)(booster.handle.as_ptr(), 1, answer as c_int, first, count, &mut length)
        };
        library.answered("LGBM_BoosterCalcNumPredict", code)?;
        let mut handle = ptr::null_mut();
        // SAFETY: "C API"; the handle is the booster's, which the predictor keeps; LightGBM copies the parameters.
        let code = unsafe {
            let booster = booster.handle.as_ptr();
            (library.api.prepare)(
                booster,
                answer as c_int,
                first,
                count,
                FLOAT64,
                features,
                parameters.as_ptr(),
                &mut handle,
            )
        };
        library.answered("LGBM_BoosterPredictForMatSingleRowFastInit", code)?;
        Ok(Self {
            booster: Arc::clone(booster),
            handle: NonNull::new(handle).expect("LightGBM says that it prepared a predictor"),
            features: usize::try_from(features).expect("a model has features"),
            answer_length: usize::try_from(length).expect("an answer has a length"),
        })
    }

    /// Numbers that an answer has.
    pub(crate) fn answer_length(&self) -> usize {
        self.answer_length
    }

    /// Answers one row into `out`.
    pub(crate) fn predict(&mut self, row: &[f64], out: &mut [f64]) -> Result<(), ModelError> {
        if row.len() != self.features {
            return Err(ModelError::RowLength { found: row.len(), needed: self.features });
        }
        if out.len() != self.answer_length {
            return Err(ModelError::OutputLength { found: out.len(), needed: self.answer_length });
        }
        let library = &self.booster.library;
        let mut written = 0;
        // SAFETY: "C API"; LightGBM reads `features` doubles, as prepared, and writes `answer_length`, by its own count: both are
        // the lengths of the slices. `text::check` has seen that objective, classes and trees agree on that count.
        let code =
            unsafe { (library.api.predict)(self.handle.as_ptr(), row.as_ptr().cast(), &mut written, out.as_mut_ptr()) };
        library.answered("LGBM_BoosterPredictForMatSingleRowFast", code)
    }
}

impl Drop for Predictor {
    fn drop(&mut self) {
        // SAFETY: "C API"; nobody else has the handle, and the booster it points into goes after it.
        unsafe { (self.booster.library.api.free_prepared)(self.handle.as_ptr()) };
    }
}
