//! fastfeat._core: conversion between Python objects and the engine, nothing else.

use pyo3::prelude::*;

#[pymodule(gil_used = true)]
mod _core {}
